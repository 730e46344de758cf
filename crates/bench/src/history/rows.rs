//! Outbox rows as the services leave them.

use anyhow::ensure;
use futures::{TryStreamExt as _, stream};
use mongodb::bson::{DateTime, Document, doc};
use onboard_contract::{OutboxStatus, TraceParent};
use onboard_events::UserRegistered;
use onboard_events::user_registered::{AGGREGATE_USER, USER_REGISTERED};
use onboard_ops::Databases;
use onboard_runtime::clock;

use crate::drain::bytes;
use crate::progress::Progress;

/// Rows of one insert.
const BATCH: u64 = 1_000;
/// Inserts at the same time.
const IN_FLIGHT: usize = 2;

/// Inserts rows of registrations that are SENT and acknowledged.
pub(super) async fn insert_finished(
    mongo: &Databases,
    count: u64,
    progress: &Progress,
) -> anyhow::Result<()> {
    ensure!(count.is_multiple_of(BATCH), "{count} rows are not whole batches");
    stream::iter((0..count / BATCH).map(Ok))
        .try_for_each_concurrent(IN_FLIGHT, async |_| -> anyhow::Result<()> {
            let rows = (0..BATCH).map(|_| finished());
            mongo.outbox().insert_many(rows).ordered(false).await?;
            (0..BATCH).for_each(|_| progress.one());
            Ok(())
        })
        .await
}

/// Inserts rows that are due.
pub(super) async fn insert_pending(mongo: &Databases, count: u64) -> anyhow::Result<()> {
    let rows = (0..count).map(|_| {
        let mut row = registered();
        // MongoDB's own clock decides, and may be some milliseconds behind.
        row.insert("nextAttemptAt", DateTime::from_millis(clock::now_ms() - 1_000));
        row
    });
    mongo.outbox().insert_many(rows).await?;
    Ok(())
}

/// Removes the rows of a round.
pub(super) async fn remove_pending(mongo: &Databases) -> anyhow::Result<()> {
    // In terms of the index over PENDING rows; without it, it walks a million.
    let pending = doc! {
        "status": OutboxStatus::Pending.as_str(), "nextAttemptAt": { "$gt": DateTime::MIN },
    };
    mongo.outbox().delete_many(pending).await?;
    Ok(())
}

fn finished() -> Document {
    let mut row = registered();
    for at in ["startedAt", "sentAt", "acknowledgedAt"] {
        row.insert(at, now());
    }
    row.insert("status", OutboxStatus::Sent.as_str());
    row.insert("attempts", 1);
    row
}

/// As auth writes it, but for `nextAttemptAt`.
fn registered() -> Document {
    let (user, trace) = (clock::random_id(), clock::random_id().as_u128());
    let user = bytes(user.as_bytes());
    doc! {
        "_id": bytes(clock::ordered_id().as_bytes()),
        "aggregateType": AGGREGATE_USER,
        "aggregateId": user,
        "eventType": USER_REGISTERED,
        "schemaVersion": i64::from(UserRegistered::TYPE.version.number),
        "payload": { "userId": user, "email": format!("bench-{user}@example.com") },
        "traceparent": TraceParent::from_random(trace, 1).as_str(),
        "status": OutboxStatus::Pending.as_str(),
        "createdAt": now(),
        "startedAt": null,
        "sentAt": null,
        "acknowledgedAt": null,
        "attempts": 0,
        "lastError": null,
    }
}

fn now() -> DateTime {
    DateTime::from_millis(clock::now_ms())
}
