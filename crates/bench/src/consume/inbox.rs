//! What the records of some events say, and how they are removed.

use std::time::Duration;

use anyhow::Context as _;
use futures::TryStreamExt as _;
use mongodb::Collection;
use mongodb::bson::{self, DateTime, Document, doc};
use onboard_contract::{EventId, TodoId, UserRegistered};
use onboard_store::Mongo;
use serde::Deserialize;

use crate::drain::bytes;

/// Ids named in one command.
const PAGE: usize = 1_000;
/// MongoDB keeps no finer time.
const SHORTEST: Duration = Duration::from_millis(1);

/// From the first to the last of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Span {
    pub(super) first: DateTime,
    pub(super) last: DateTime,
}

impl Span {
    pub(super) fn length(self) -> Duration {
        let ms = self.last.timestamp_millis().saturating_sub(self.first.timestamp_millis());
        Duration::from_millis(u64::try_from(ms).unwrap_or_default()).max(SHORTEST)
    }
}

fn both(one: Option<Span>, other: Option<Span>) -> Option<Span> {
    let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
    Some(Span { first: one.first.min(other.first), last: one.last.max(other.last) })
}

/// How many of the events are in the inbox, and when the first and the last
/// was processed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Applied {
    pub(super) count: u64,
    pub(super) span: Option<Span>,
}

pub(super) async fn applied(mongo: &Mongo, ids: &[EventId]) -> anyhow::Result<Applied> {
    let mut applied = Applied { count: 0, span: None };
    for page in ids.chunks(PAGE) {
        let these = doc! { "eventId": { "$in": uuids(page.iter().copied()) } };
        applied.count += mongo.processed_events().count_documents(these.clone()).await?;
        let found = spread(&mongo.processed_events(), these, "$processedAt").await?;
        applied.span = both(applied.span, found);
    }
    Ok(applied)
}

/// When the first and the last of the registrations was acknowledged.
pub(super) async fn acknowledged(mongo: &Mongo, ids: &[EventId]) -> anyhow::Result<Span> {
    let mut span = None::<Span>;
    for page in ids.chunks(PAGE) {
        let these = doc! { "_id": { "$in": uuids(page.iter().copied()) } };
        span = both(span, spread(&mongo.outbox(), these, "$acknowledgedAt").await?);
    }
    span.context("none of the registrations has a row")
}

async fn spread(
    collection: &Collection<Document>,
    these: Document,
    time: &str,
) -> anyhow::Result<Option<Span>> {
    let group = doc! { "_id": null, "first": { "$min": time }, "last": { "$max": time } };
    let found = collection.aggregate([doc! { "$match": these }, doc! { "$group": group }]).await?;
    Ok(found.with_type::<Span>().try_next().await?)
}

/// Removes what the events have left in the todo service's database.
pub(super) async fn remove(mongo: &Mongo, events: &[UserRegistered]) -> anyhow::Result<()> {
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
    fn a_span_covers_both_and_is_never_nothing() {
        let span = |first, last| Span {
            first: DateTime::from_millis(first),
            last: DateTime::from_millis(last),
        };
        assert_eq!(both(Some(span(5, 9)), Some(span(3, 7))), Some(span(3, 9)));
        assert_eq!(both(None, Some(span(3, 7))), Some(span(3, 7)));
        assert_eq!(span(3, 9).length(), Duration::from_millis(6));
        assert_eq!(span(3, 3).length(), SHORTEST);
    }
}
