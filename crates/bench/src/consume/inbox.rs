//! What the records of some events say, and how they are removed.

use std::time::Duration;

use anyhow::Context as _;
use futures::TryStreamExt as _;
use mongodb::Collection;
use mongodb::bson::{self, DateTime, Document, doc};
use onboard_contract::EventId;
use onboard_events::{TodoId, UserRegistered};
use onboard_ops::Databases;
use serde::Deserialize;

use crate::drain::bytes;

/// Ids named in one command.
const PAGE: usize = 1_000;
/// MongoDB keeps no finer time.
const SHORTEST: Duration = Duration::from_millis(1);

/// From the first to the last of many, in ms since the Unix epoch: the clock
/// of this machine, which all of the stack has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
}

impl Span {
    pub(super) fn length(self) -> Duration {
        let ms = self.last_ms.saturating_sub(self.first_ms);
        Duration::from_millis(u64::try_from(ms).unwrap_or_default()).max(SHORTEST)
    }
}

/// How many of the events are in the inbox.
pub(super) async fn applied(mongo: &Databases, ids: &[EventId]) -> anyhow::Result<u64> {
    let mut count = 0;
    for page in ids.chunks(PAGE) {
        let these = doc! { "eventId": { "$in": uuids(page.iter().copied()) } };
        count += mongo.processed_events().count_documents(these).await?;
    }
    Ok(count)
}

/// When the first of the events was begun.
pub(super) async fn first_processed_ms(mongo: &Databases, ids: &[EventId]) -> anyhow::Result<i64> {
    let inbox = mongo.processed_events();
    let first = doc! { "$min": "$processedAt" };
    let all = times(&inbox, "eventId", first, ids).await?;
    all.into_iter().min().context("none of the events is in the inbox")
}

/// When the last of the registrations was acknowledged.
pub(super) async fn last_acknowledged_ms(
    mongo: &Databases,
    ids: &[EventId],
) -> anyhow::Result<i64> {
    let last = doc! { "$max": "$acknowledgedAt" };
    let all = times(&mongo.outbox(), "_id", last, ids).await?;
    all.into_iter().max().context("none of the registrations has a row")
}

#[derive(Debug, Deserialize)]
struct Found {
    at: DateTime,
}

/// The wanted time of each page of ids.
async fn times(
    collection: &Collection<Document>,
    field: &str,
    wanted: Document,
    ids: &[EventId],
) -> anyhow::Result<Vec<i64>> {
    let mut all = Vec::new();
    for page in ids.chunks(PAGE) {
        let these = doc! { "$match": { field: { "$in": uuids(page.iter().copied()) } } };
        let group = doc! { "$group": { "_id": null, "at": &wanted } };
        let mut found = collection.aggregate([these, group]).await?.with_type::<Found>();
        all.extend(found.try_next().await?.map(|found| found.at.timestamp_millis()));
    }
    Ok(all)
}

/// Removes what the events have left in the todo service's database.
pub(super) async fn remove(mongo: &Databases, events: &[UserRegistered]) -> anyhow::Result<()> {
    for page in events.chunks(PAGE) {
        let records = uuids(page.iter().map(|event| event.event_id));
        let todos = page.iter().map(|event| TodoId::welcome(event.user_id));
        let todos: Vec<bson::Uuid> = todos.map(|todo| bytes(todo.uuid().as_bytes())).collect();
        mongo.todos().delete_many(doc! { "_id": { "$in": todos } }).await?;
        mongo.processed_events().delete_many(doc! { "eventId": { "$in": records } }).await?;
    }
    Ok(())
}

fn uuids(ids: impl Iterator<Item = EventId>) -> Vec<bson::Uuid> {
    ids.map(|id| bytes(id.uuid().as_bytes())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_never_nothing() {
        let length = |first_ms, last_ms| Span { first_ms, last_ms }.length();
        assert_eq!(length(3, 9), Duration::from_millis(6));
        assert_eq!((length(3, 3), length(9, 3)), (SHORTEST, SHORTEST));
    }
}
