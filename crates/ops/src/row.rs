//! An outbox row as it is shown, a damaged one too.

use mongodb::bson::{Document, doc};
use onboard_contract::{
    ConsumerName, Delivery, EventId, EventType, OutboxStatus, Stage, StageFacts, Start,
    TraceParent, UserId,
};
use onboard_mongo::Field;
use onboard_outbox::AHEAD_MS;
use serde::Serialize;
use uuid::Uuid;

use crate::consumers::state::{ConsumerState, consumers};
use crate::times;

/// A registration, or another event, as its outbox row tells it. No personal data.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The event, which is the registration.
    pub registration_id: EventId,
    /// The type of the event; absent in a damaged row.
    pub event_type: Option<String>,
    /// The user; absent in a damaged row and in one of another event.
    pub user_id: Option<UserId>,
    /// What an event other than a registration is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregate_id: Option<Uuid>,
    /// How far it is.
    pub stage: Stage,
    /// When the user registered, or the event happened.
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
    /// The consumers that are to acknowledge it and have not.
    pub awaited: Vec<ConsumerName>,
    /// What this build knows of the event type.
    #[serde(skip)]
    pub(crate) known_type: Option<&'static EventType>,
    /// What each expected or waived consumer has done.
    #[serde(skip)]
    pub(crate) consumers: Vec<ConsumerState>,
    /// What a new run is to deliver.
    #[serde(skip)]
    pub(crate) delivery: Option<Delivery>,
    #[serde(skip)]
    pub(crate) sent: bool,
    /// Whether it says that it was created in the future.
    #[serde(skip)]
    pub(crate) ahead: bool,
}

#[expect(clippy::ref_option, reason = "serde asks for it")]
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
        Self::of(onboard_outbox::Row::read(row), now_ms, overdue_ms)
    }

    /// The same for a row whose fields have been read.
    pub(crate) fn of(row: onboard_outbox::Row, now_ms: i64, overdue_ms: i64) -> Option<Self> {
        let sent = row.status == Field::Is(OutboxStatus::Sent);
        let (started_at, sent_at) = (row.started_at.known(), row.sent_at.known());
        let acknowledged_at = row.acknowledged_at.known();
        let facts = StageFacts {
            status: if sent { OutboxStatus::Sent } else { OutboxStatus::Pending },
            started: started_at.is_some(),
            sent_at_ms: sent_at,
            acknowledged: acknowledged_at.is_some(),
        };
        let known_type = row.known_type();
        let is_registration = known_type.is_none_or(onboard_events::is_registration);
        let (user_id, aggregate_id) = match row.aggregate_id.known() {
            Some(id) if !is_registration => (None, Some(id.uuid())),
            id => (id, None),
        };
        Some(Self {
            registration_id: row.id.known()?,
            known_type,
            user_id,
            aggregate_id,
            stage: Stage::derive(facts, now_ms, overdue_ms),
            created_at: row.created_at.known(),
            started_at,
            sent_at,
            acknowledged_at,
            next_attempt_at: row.next_attempt_at.known(),
            quarantined_at: row.quarantined_at.known(),
            attempts: row.attempts.known().unwrap_or_default(),
            traceparent: row.traceparent(),
            awaited: row.awaited().unwrap_or_default(),
            consumers: consumers(&row),
            delivery: row.delivery().unwrap_or_default(),
            event_type: row.event_type.known(),
            last_error: row.last_error.known(),
            ahead: row.created_at.known().is_some_and(|at| at > now_ms.saturating_add(AHEAD_MS)),
            sent,
        })
    }

    /// Whether it is about a user and a welcome todo. A row that does not say so is.
    #[must_use]
    pub fn is_registration(&self) -> bool {
        self.known_type.is_none_or(onboard_events::is_registration)
    }

    /// The id of its workflow; none of an event type that this build does not know.
    pub(crate) fn workflow_id(&self) -> Option<String> {
        self.known_type.map(|event_type| event_type.workflow_id(self.registration_id))
    }

    /// What the event is about.
    pub(crate) fn about(&self) -> Option<Uuid> {
        self.user_id.map(UserId::uuid).or(self.aggregate_id)
    }

    /// What a run of its workflow is started with; none of a row that does not say
    /// what the event is about.
    pub(crate) fn start(&self, overdue_ms: i64) -> Option<Start> {
        Some(Start {
            event_type: self.known_type?,
            event_id: self.registration_id,
            aggregate_id: self.about()?,
            traceparent: self.traceparent.clone(),
            overdue_ms: u64::try_from(overdue_ms).unwrap_or(u64::MAX),
            delivery: self.delivery.clone(),
        })
    }

    /// Whether it expects more than the todo service, or did.
    pub(crate) fn expects_more(&self) -> bool {
        self.delivery.is_some() || self.consumers.iter().any(|one| one.waived_at.is_some())
    }

    /// The consumers that it awaits, for people.
    pub(crate) fn awaited_names(&self) -> String {
        self.awaited.iter().map(ConsumerName::as_str).collect::<Vec<_>>().join(", ")
    }

    /// How long ago the user registered; below 0 when the row says that this is still
    /// to come.
    #[must_use]
    pub fn age_ms(&self, now_ms: i64) -> Option<i64> {
        self.created_at.map(|created| now_ms.saturating_sub(created))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::id;
    use mongodb::bson::DateTime;
    use uuid::Uuid;

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
