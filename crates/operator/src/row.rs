//! An outbox row, read so that a damaged one can still be shown.

use mongodb::bson::{Bson, Document, doc};
use onboard_contract::{EventId, OutboxStatus, Stage, StageFacts, TraceParent, UserId};
use serde::Serialize;
use uuid::Uuid;

use crate::times;

/// A registration as its outbox row tells it. No personal data.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The registration.
    pub registration_id: EventId,
    /// The user; absent in a damaged row.
    pub user_id: Option<UserId>,
    /// How far it is.
    pub stage: Stage,
    /// When the user registered.
    #[serde(serialize_with = "times::maybe")]
    pub created_at: Option<i64>,
    /// When the relay noted the workflow.
    #[serde(serialize_with = "times::maybe")]
    pub started_at: Option<i64>,
    /// When the broker's confirm was noted.
    #[serde(serialize_with = "times::maybe")]
    pub sent_at: Option<i64>,
    /// When the acknowledgement was recorded.
    #[serde(serialize_with = "times::maybe")]
    pub acknowledged_at: Option<i64>,
    /// When the relay looks again.
    #[serde(serialize_with = "times::maybe")]
    pub next_attempt_at: Option<i64>,
    /// Since when the relay leaves it alone.
    #[serde(serialize_with = "times::maybe")]
    pub quarantined_at: Option<i64>,
    /// The relay's tries.
    pub attempts: u32,
    /// Why the last of them failed.
    pub last_error: Option<String>,
    /// The trace it belongs to.
    #[serde(rename = "traceId", serialize_with = "trace_id")]
    pub traceparent: Option<TraceParent>,
    #[serde(skip)]
    pub(crate) sent: bool,
}

fn trace_id<S: serde::Serializer>(
    trace: &Option<TraceParent>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    trace.as_ref().map(TraceParent::trace_id).serialize(serializer)
}

/// The address stays where it is.
pub(crate) fn without_payload() -> Document {
    doc! { "payload": 0 }
}

impl Row {
    /// Reads a row; `None` when not even its id can be read.
    pub(crate) fn read(row: &Document, now_ms: i64, overdue_ms: i64) -> Option<Self> {
        let time = |name: &str| row.get_datetime(name).ok().map(|time| time.timestamp_millis());
        let sent = row.get_str("status").ok() == Some(OutboxStatus::Sent.as_str());
        let (started_at, sent_at, acknowledged_at) =
            (time("startedAt"), time("sentAt"), time("acknowledgedAt"));
        let facts = StageFacts {
            status: if sent { OutboxStatus::Sent } else { OutboxStatus::Pending },
            started: started_at.is_some(),
            sent_at_ms: sent_at,
            acknowledged: acknowledged_at.is_some(),
        };
        Some(Self {
            registration_id: uuid(row.get("_id")?)?.into(),
            user_id: row.get("aggregateId").and_then(uuid).map(UserId::from),
            stage: Stage::derive(facts, now_ms, overdue_ms),
            created_at: time("createdAt"),
            started_at,
            sent_at,
            acknowledged_at,
            next_attempt_at: time("nextAttemptAt"),
            quarantined_at: time("quarantinedAt"),
            attempts: number(row.get("attempts")),
            last_error: row.get_str("lastError").ok().map(str::to_owned),
            traceparent: row.get_str("traceparent").ok().and_then(|t| TraceParent::parse(t).ok()),
            sent,
        })
    }

    /// How long ago the user registered.
    #[must_use]
    pub fn age_ms(&self, now_ms: i64) -> Option<i64> {
        self.created_at.map(|created| now_ms.saturating_sub(created).max(0))
    }
}

/// A BSON UUID of any subtype.
pub(crate) fn uuid(value: &Bson) -> Option<Uuid> {
    match value {
        Bson::Binary(binary) => Uuid::from_slice(&binary.bytes).ok(),
        _ => None,
    }
}

fn number(value: Option<&Bson>) -> u32 {
    match value {
        Some(Bson::Int32(number)) => u32::try_from(*number).unwrap_or_default(),
        Some(Bson::Int64(number)) => u32::try_from(*number).unwrap_or_default(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::id;
    use mongodb::bson::DateTime;

    #[test]
    fn a_damaged_row_is_still_shown() {
        let event = Uuid::from_u128(7);
        let row = doc! { "_id": id(event), "status": 5, "createdAt": "soon", "attempts": -1 };
        let row = Row::read(&row, 1_000, 1).unwrap();
        assert_eq!((row.registration_id, row.stage), (event.into(), Stage::Pending));
        assert_eq!((row.created_at, row.attempts, row.user_id), (None, 0, None));
        assert!(Row::read(&doc! { "_id": "text" }, 0, 0).is_none());
    }

    #[test]
    fn the_stage_is_the_one_everybody_sees() {
        let at = |ms| DateTime::from_millis(ms);
        let row = doc! {
            "_id": id(Uuid::from_u128(7)), "status": "SENT", "sentAt": at(0), "createdAt": at(0),
        };
        assert_eq!(Row::read(&row, 31_000, 30_000).unwrap().stage, Stage::Stalled);
        assert_eq!(Row::read(&row, 30_000, 30_000).unwrap().stage, Stage::Sent);
    }
}
