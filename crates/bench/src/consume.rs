//! The todo service with a full queue: first the inbox path alone, with nobody
//! to acknowledge to; then with the workflows that wait.

mod inbox;
mod messages;

use std::time::Duration;

use mongodb::bson::doc;
use onboard_chaos::Live;
use onboard_contract::EventId;
use onboard_ops::Databases;
use onboard_runtime::clock;

use self::inbox::{Span, remove};
use self::messages::{fresh, publish};
use crate::drain::unfinished;
use crate::fill::fill;
use crate::progress::Progress;
use crate::rest::rest;
use crate::samples::rate;
use crate::transactions::transactions;
use crate::until::{STANDSTILL, until};
use crate::{Bed, Figure, Scale, Scenario, Target, empty};

/// How often it is counted how much is done.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The same where the end is read from it.
const CONSUMED_LOOK: Duration = Duration::from_millis(20);

pub(crate) async fn run(bed: &Bed, scale: Scale, live: &Live) -> anyhow::Result<Vec<Figure>> {
    let mongo = bed.mongo().await?;
    let mut figures = inbox_path(bed, &mongo, scale, live).await?;
    rest(bed, &mongo, live).await?;
    figures.extend(acknowledged(bed, &mongo, scale, live).await?);
    rest(bed, &mongo, live).await?;
    Ok(figures)
}

/// Messages of users who do not exist, while Temporal is away: what the todo
/// service commits by itself. Afterwards each record and todo of theirs is
/// removed, once Temporal has said that it knows no such workflow: an audit
/// would otherwise find todos of nobody.
async fn inbox_path(
    bed: &Bed,
    mongo: &Databases,
    scale: Scale,
    live: &Live,
) -> anyhow::Result<Vec<Figure>> {
    let count = scale.pick(20_000, 500);
    bed.component("todo")?.stop().await?;
    bed.component("temporal")?.stop().await?;
    let limit = transactions(mongo, scale.pick(4_000, 100), live).await?;
    let (_, broker, _) = bed.servers()?;
    let events = fresh(count);
    let confirms = publish(&broker, &events, live).await?;
    let ids: Vec<_> = events.iter().map(|event| event.event_id).collect();
    let span = consume(bed, mongo, &ids, live).await?;
    rest(bed, mongo, live).await?;
    remove(mongo, &events).await?;
    let figure = |name: &str, value| Figure::new(Scenario::Consume, name, value, "1/s");
    Ok(vec![
        figure("tasks, inbox path alone", rate(count, span.length()))
            .beside("plain transactions of two documents", limit)
            .aim(Target::AtLeast(1_500.0)),
        figure("RabbitMQ quorum confirms, 32 in flight", confirms),
    ])
}

/// Registrations whose workflows wait for the todo service.
async fn acknowledged(
    bed: &Bed,
    mongo: &Databases,
    scale: Scale,
    live: &Live,
) -> anyhow::Result<Vec<Figure>> {
    let count = scale.pick(1_000, 40);
    let limit = empty::rate_of(bed, scale.pick(1_000, 30), live).await?;
    bed.component("todo")?.stop().await?;
    let rows = fill(mongo, count, live).await?;
    all("rows until SENT", count, live, async || {
        Ok(mongo.outbox().count_documents(doc! { "status": "PENDING" }).await?)
    })
    .await?;

    let ids: Vec<_> = rows.iter().map(|row| row.event_id).collect();
    let span = consume(bed, mongo, &ids, live).await?;
    all("rows until acknowledged", count, live, async || unfinished(mongo).await).await?;
    let whole = Span { last_ms: inbox::last_acknowledged_ms(mongo, &ids).await?, ..span };
    let figure = |name: &str, value| Figure::new(Scenario::Consume, name, value, "1/s");
    Ok(vec![
        figure("tasks, with acknowledgements", rate(count, span.length())),
        figure("registrations completed from the queue", rate(count, whole.length()))
            .beside("empty workflows, all of each", limit),
    ])
}

/// Starts the todo service and waits until the inbox has them all; from the
/// begin of the first until the last is seen to be committed. The service may
/// be unready without Temporal, and works all the same.
async fn consume(
    bed: &Bed,
    mongo: &Databases,
    ids: &[EventId],
    live: &Live,
) -> anyhow::Result<Span> {
    let count = u64::try_from(ids.len())?;
    let progress = Progress::new("consuming a full queue", count);
    let inbox = mongo.processed_events();
    let full = inbox.estimated_document_count().await? + count;
    bed.component("todo")?.request_start().await?;
    let look = async || {
        // The collection's own count costs nothing. But it counts what is not
        // committed yet, so in the end each one is looked for.
        let mut left = full.saturating_sub(inbox.estimated_document_count().await?);
        if left == 0 {
            left = count.saturating_sub(inbox::applied(mongo, ids).await?);
        }
        progress.left(left);
        Ok(left)
    };
    let consumed = until("messages", (STANDSTILL, CONSUMED_LOOK), look);
    live.during(consumed, || progress.line()).await?;
    let last_ms = clock::now_ms();
    Ok(Span { first_ms: inbox::first_processed_ms(mongo, ids).await?, last_ms })
}

/// Waits until nothing is left of what `left` counts.
async fn all(
    what: &'static str,
    count: u64,
    live: &Live,
    left: impl AsyncFn() -> anyhow::Result<u64>,
) -> anyhow::Result<()> {
    let progress = Progress::new(what, count);
    let look = async || {
        let left = left().await?;
        progress.left(left);
        Ok(left)
    };
    let done = until(what, (STANDSTILL, LOOK_EVERY), look);
    live.during(done, || progress.line()).await
}
