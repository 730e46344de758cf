//! A collector that is away, or takes connections and never answers.

use std::time::{Duration, Instant};

use futures::future::join_all;
use onboard::services::names;
use onboard_stack::ports::Lease;
use tokio::net::TcpListener;

use crate::harness::{App, Options, eventually};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const WARNED: &str = "the collector takes no spans";
/// The flush of the last spans may take two seconds; the exporter's own time-out
/// is ten.
const STOPS_WITHIN: Duration = Duration::from_secs(9);

/// Nobody listens there.
fn away() -> String {
    format!("http://127.0.0.1:{}", Lease::any().unwrap().port())
}

/// The kernel takes the connection; nobody ever answers.
async fn frozen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

#[tokio::test]
async fn without_its_collector_everything_goes_on_and_says_so_once() {
    let (_listener, silent) = frozen().await;
    let options = Options::default()
        .with("OTEL_BSP_SCHEDULE_DELAY", "20")
        .with_for("auth", ENDPOINT, &away())
        .with_for("relay", ENDPOINT, &away())
        .with_for("worker", ENDPOINT, &silent)
        .with_for("worker", "OTEL_EXPORTER_OTLP_TIMEOUT", "200")
        .with_for("todo", ENDPOINT, &silent);
    let app = App::start_with(options).await;
    for _ in 0..3 {
        let ids = join_all((0..8).map(|_| app.register())).await;
        for id in ids {
            app.reaches(id, "ACKNOWLEDGED").await;
        }
    }
    for service in ["auth", "relay", "worker"] {
        eventually(&format!("{service} warns"), async || match warnings(&app, service).await {
            0 => Err("not yet"),
            _ => Ok(()),
        })
        .await;
    }
    app.nothing_is_left().await;
    for service in names() {
        let asked = Instant::now();
        app.component(service).stop().await.unwrap();
        let took = asked.elapsed();
        assert!(took < STOPS_WITHIN, "{service} took {took:?} to stop");
        let log = app.log_of(service).await;
        let graceful = log.iter().any(|line| line["message"] == "stopped gracefully");
        assert!(graceful, "{service}: {:?}", log.last());
        assert!(warnings(&app, service).await <= 1, "{service} says it once: {log:?}");
        assert!(!log.iter().any(|line| line["level"] == "ERROR"), "{service}: {log:?}");
    }
    app.remove().await;
}

async fn warnings(app: &App, service: &str) -> usize {
    let log = app.log_of(service).await;
    log.iter().filter(|line| line.to_string().contains(WARNED)).count()
}

/// Prints the figures that `docs/tracing.md` gives.
#[tokio::test]
async fn a_collector_that_is_away_slows_no_registration() {
    const ROUNDS: u32 = 6;
    let (_listener, silent) = frozen().await;
    let options = Options::only(&["auth"])
        .and("auth-away", "auth")
        .and("auth-frozen", "auth")
        .with_for("auth-away", ENDPOINT, &away())
        .with_for("auth-frozen", ENDPOINT, &silent);
    let app = App::start_with(options).await;
    let mut took = [Duration::ZERO; 3];
    for round in 0..=ROUNDS {
        for (service, total) in ["auth", "auth-away", "auth-frozen"].into_iter().zip(&mut took) {
            let one = register_many(&app, service).await;
            // The first round warms up.
            *total += if round == 0 { Duration::ZERO } else { one };
        }
    }
    let per_second = took.map(|took| f64::from(ROUNDS * 8 * 8) / took.as_secs_f64());
    eprintln!("registrations a second: off, away, frozen: {per_second:.0?}");
    let [off, away, frozen] = took;
    assert!(away < off * 2 && frozen < off * 2, "off, away, frozen: {took:?}");
    app.remove().await;
}

/// Eight at a time, eight times.
async fn register_many(app: &App, service: &str) -> Duration {
    let begun = Instant::now();
    let lane = async |_| {
        for _ in 0..8 {
            assert!(matches!(app.try_register(service).await, Some(Ok(_))));
        }
    };
    let all = join_all((0..8).map(lane));
    tokio::time::timeout(Duration::from_mins(1), all).await.expect("nobody waits for a collector");
    begun.elapsed()
}
