//! A row as its service writes it, in the transaction of what the event tells.
//!
//! Making the document has no effect. A process that dies before the commit of
//! the caller's transaction leaves neither the row nor what it tells.

use mongodb::bson::{Document, doc};
use onboard_contract::TraceParent;
use onboard_contract::{ConsumerName, Event, EventError, EventId, EventType, OutboxStatus};
use onboard_mongo::bson_time::{date, id};
use uuid::Uuid;

use super::json::json;

/// A row that is to be written.
#[derive(Debug, Clone)]
pub struct NewRow<'a> {
    /// The type of the event.
    pub event_type: &'static EventType,
    /// The event (UUIDv7).
    pub event_id: EventId,
    /// The kind of the aggregate.
    pub aggregate_type: &'a str,
    /// What the event is about.
    pub aggregate_id: Uuid,
    /// What the event says. Personal data may stand here alone.
    pub payload: Document,
    /// The trace that the event belongs to.
    pub traceparent: Option<&'a TraceParent>,
    /// When the event happened, in Unix ms.
    pub created_at_ms: i64,
    /// How many events of the aggregate there are with this one, counted in the same
    /// transaction; for consumers that need an order. `None`: they are not counted.
    pub aggregate_version: Option<u64>,
    /// The consumers that the row expects; none names those of the event type.
    pub expects: &'a [ConsumerName],
}

impl NewRow<'_> {
    /// The document of the row.
    ///
    /// # Errors
    /// The event's consumers could not read its message, or it is too large.
    pub fn checked(self) -> Result<Document, EventError> {
        self.event_type.message(Event {
            event_id: self.event_id,
            schema_version: self.event_type.version.number,
            aggregate_id: self.aggregate_id,
            occurred_at: date(self.created_at_ms).try_to_rfc3339_string().ok(),
            aggregate_version: self.aggregate_version,
            payload: json(&self.payload).ok_or(EventError::NotAnObject)?,
            traceparent: None,
        })?;
        Ok(self.document())
    }

    /// The document of a row whose payload is known to be right.
    #[must_use]
    pub fn document(self) -> Document {
        let now = date(self.created_at_ms);
        let mut row = doc! {
            "_id": id(self.event_id.uuid()),
            "aggregateType": self.aggregate_type,
            "aggregateId": id(self.aggregate_id),
            "eventType": self.event_type.name,
            "schemaVersion": i64::from(self.event_type.version.number),
            "payload": self.payload,
            "traceparent": self.traceparent.map(TraceParent::as_str),
            "status": OutboxStatus::Pending.as_str(),
            "createdAt": now,
            "startedAt": null,
            "sentAt": null,
            "acknowledgedAt": null,
            "attempts": 0,
            "nextAttemptAt": now,
            "lastError": null,
        };
        if let Some(version) = self.aggregate_version {
            row.insert("aggregateVersion", i64::try_from(version).unwrap_or(i64::MAX));
        }
        let expects: Vec<&str> = match self.expects {
            // As released builds write it, which read it, too.
            [] if self.event_type.name == onboard_events::RELEASED.name => return row,
            [] => self.event_type.consumer_names().map(ConsumerName::as_str).collect(),
            named => named.iter().map(ConsumerName::as_str).collect(),
        };
        row.insert("expects", expects);
        row
    }
}

#[cfg(test)]
mod tests {
    use onboard_events::UserRegistered;

    use super::*;
    use crate::Row;

    fn row(payload: Document) -> NewRow<'static> {
        NewRow {
            event_type: UserRegistered::TYPE,
            event_id: Uuid::from_u128(1).into(),
            aggregate_type: "User",
            aggregate_id: Uuid::from_u128(2),
            payload,
            traceparent: None,
            created_at_ms: 3,
            aggregate_version: Some(1),
            expects: &[],
        }
    }

    #[test]
    fn a_new_row_is_one_that_the_relay_reads() {
        let payload = doc! { "userId": id(Uuid::from_u128(2)), "email": "a@example.com" };
        let row = row(payload).checked().unwrap();
        let read = Row::read(&row);
        assert_eq!(read.awaited(), Ok(vec![onboard_events::TODO]));
        assert!(!row.contains_key("expects"), "released builds read it, too");
    }

    #[test]
    fn what_no_consumer_could_read_is_refused() {
        let user = id(Uuid::from_u128(2));
        let long = "x".repeat(70_000);
        for payload in [doc! {}, doc! { "userId": &user }, doc! { "userId": user, "email": long }] {
            assert!(row(payload).checked().is_err());
        }
    }
}
