//! How far a consumer is behind stands among the relay's metrics: of each consumer
//! alone, and of none that is retired.

use futures::future::join_all;
use onboard_contract::ConsumerName;
use onboard_events::ExtraConsumers;
use onboard_outbox::Consumers;

use super::awaits;
use crate::harness::{App, Crm, Options, eventually};

const AWAITED: &str = "consumer_awaited";
const OLDEST: &str = "consumer_awaited_oldest_age_seconds";

/// What the relay says of a consumer.
async fn figure(app: &App, metric: &str, consumer: &str) -> Option<f64> {
    let url = format!("{}/metrics", app.url("relay"));
    let text = app.http.get(url).send().await.unwrap().text().await.unwrap();
    let series = format!("{metric}{{consumer=\"{consumer}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&series))?;
    Some(line.parse().unwrap())
}

/// Waits until both figures of a consumer fit.
async fn shows(app: &App, consumer: &str, fits: impl Fn(f64, f64) -> bool) {
    eventually(&format!("the relay says how far {consumer} is behind"), async || {
        match (figure(app, AWAITED, consumer).await, figure(app, OLDEST, consumer).await) {
            (Some(rows), Some(oldest)) if fits(rows, oldest) => Ok(()),
            seen => Err(seen),
        }
    })
    .await;
}

fn none(rows: f64, oldest: f64) -> bool {
    rows == 0.0 && oldest == 0.0
}

fn three(rows: f64, oldest: f64) -> bool {
    rows.total_cmp(&3.0).is_eq() && oldest > 0.0
}

#[tokio::test]
async fn a_silent_consumer_is_behind_until_it_is_retired_and_no_other_is() {
    let app = App::start_with(Options::default().expecting_crm()).await;
    let events = join_all((0..3).map(|_| app.register())).await;
    for event in &events {
        awaits(&app, *event, &["crm"]).await;
    }
    shows(&app, "crm", three).await;
    shows(&app, "todo", none).await;
    let before = figure(&app, OLDEST, "crm").await.unwrap();
    shows(&app, "crm", |_, oldest| oldest > before).await;

    // One that is retired has no figure.
    let consumers = Consumers::new(app.mongo().await.of_auth());
    let name: ConsumerName = "crm".parse().unwrap();
    consumers.note_retired(&name).await.unwrap();
    shows(&app, "crm", |rows, oldest| rows.is_nan() && oldest.is_nan()).await;

    // It is back with the next `onboard setup`.
    let setting: ExtraConsumers = "crm:USER_REGISTERED".parse().unwrap();
    consumers.note(&setting).await.unwrap();
    shows(&app, "crm", three).await;
    let crm = Crm::start(&app).await;
    for event in &events {
        app.reaches(*event, "ACKNOWLEDGED").await;
    }
    shows(&app, "crm", none).await;
    shows(&app, "todo", none).await;
    crm.stop().await;
    app.finish().await;
}
