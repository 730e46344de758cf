//! What crosses Temporal: ids, times and counters, never personal data.
//!
//! Every field added later is `#[serde(default)]`: a history written by an
//! older build must still be read.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{ConsumerName, EventId, EventType, Stage, TodoId, TraceParent, UserId};

/// When an acknowledgement counts as overdue, unless configured, in ms.
pub const OVERDUE_MS_DEFAULT: u64 = 30_000;

/// The input of the `UserRegistration` workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationInput {
    /// The outbox event.
    pub event_id: EventId,
    /// The user.
    pub user_id: UserId,
    /// The trace the registration belongs to.
    #[serde(default)]
    pub traceparent: Option<TraceParent>,
    /// How long after a publish its acknowledgement is overdue, in ms.
    #[serde(default = "overdue_default")]
    pub overdue_ms: u64,
    /// Which consumers the event is delivered to. Absent: the plan of released
    /// builds, which knows the todo service alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// What an earlier run of the same workflow handed over.
    #[serde(default)]
    pub carried: Option<Carried>,
}

/// The input of the `EventDelivery` workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryInput {
    /// The outbox event.
    pub event_id: EventId,
    /// The type of the event.
    pub event_type: String,
    /// What the event is about.
    pub aggregate_id: Uuid,
    /// The trace that the event belongs to.
    #[serde(default)]
    pub traceparent: Option<TraceParent>,
    /// How long after a publish its acknowledgement is overdue, in ms.
    #[serde(default = "overdue_default")]
    pub overdue_ms: u64,
    /// Which consumers the event is delivered to.
    pub delivery: Delivery,
    /// What an earlier run of the same workflow handed over.
    #[serde(default)]
    pub carried: Option<Carried>,
}

/// What a relay starts the workflow of an event with.
#[derive(Debug, Clone)]
pub struct Start {
    /// The type of the event.
    pub event_type: &'static EventType,
    /// The outbox event.
    pub event_id: EventId,
    /// What the event is about: of a registration the user.
    pub aggregate_id: Uuid,
    /// The trace that the event belongs to.
    pub traceparent: Option<TraceParent>,
    /// How long after a publish its acknowledgement is overdue, in ms.
    pub overdue_ms: u64,
    /// Which consumers the event is delivered to; absent in the plan of released
    /// builds, which knows the todo service alone.
    pub delivery: Option<Delivery>,
}

impl Start {
    /// The input of `UserRegistration`.
    #[must_use]
    pub fn registration(&self) -> RegistrationInput {
        RegistrationInput {
            event_id: self.event_id,
            user_id: self.aggregate_id.into(),
            traceparent: self.traceparent.clone(),
            overdue_ms: self.overdue_ms,
            delivery: self.delivery.clone(),
            carried: None,
        }
    }

    /// The input of `EventDelivery`.
    #[must_use]
    pub fn delivery(&self) -> DeliveryInput {
        let everybody =
            || Delivery { consumers: self.event_type.consumers.to_vec(), direct: false };
        DeliveryInput {
            event_id: self.event_id,
            event_type: self.event_type.name.to_owned(),
            aggregate_id: self.aggregate_id,
            traceparent: self.traceparent.clone(),
            overdue_ms: self.overdue_ms,
            delivery: self.delivery.clone().unwrap_or_else(everybody),
            carried: None,
        }
    }
}

/// The consumers that a run delivers an event to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Those that have not acknowledged, each once.
    pub consumers: Vec<ConsumerName>,
    /// Whether the event goes straight to their queues, because an earlier run
    /// has published it through the exchange.
    #[serde(default)]
    pub direct: bool,
}

/// What continue-as-new hands to the next run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Carried {
    /// The stage; only a row that is SENT is waited for.
    #[serde(default = "sent")]
    pub stage: Stage,
    /// Publishes so far.
    pub publishes: u32,
    /// Overdue checks so far; decides the wait before the next one.
    pub overdue_checks: u32,
    /// Since when the acknowledgement is waited for, ms since the epoch.
    #[serde(default)]
    pub awaited_since_ms: Option<u64>,
    /// The consumers that were still awaited; empty in the plan of released
    /// builds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaited: Vec<Awaited>,
}

/// A consumer that an earlier run still awaited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Awaited {
    /// The consumer.
    pub consumer: ConsumerName,
    /// How often its acknowledgement was found overdue; decides the next wait.
    pub overdue_checks: u32,
    /// Whether the broker has confirmed the event for its queue.
    #[serde(default = "confirmed")]
    pub in_queue: bool,
}

const fn sent() -> Stage {
    Stage::Sent
}

const fn confirmed() -> bool {
    true
}

const fn overdue_default() -> u64 {
    OVERDUE_MS_DEFAULT
}

/// The input of the activities that work on the outbox row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventRef {
    /// The outbox event.
    pub event_id: EventId,
    /// The trace the registration belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<TraceParent>,
}

/// The input of the activity that publishes a registration's event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishRef {
    /// The outbox event.
    pub event_id: EventId,
    /// The trace the registration belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<TraceParent>,
    /// Whether a refusal of the broker is an answer. Absent in the plan of released
    /// builds, where it is an error and the activity is tried again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tells_refusal: bool,
}

impl From<EventRef> for PublishRef {
    fn from(EventRef { event_id, traceparent }: EventRef) -> Self {
        Self { event_id, traceparent, tells_refusal: false }
    }
}

/// The input of the activity that records an acknowledgement on the row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordRef {
    /// The outbox event.
    pub event_id: EventId,
    /// The trace the registration belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<TraceParent>,
    /// The consumer that acknowledged. Absent in histories of released builds,
    /// where it is the todo service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<ConsumerName>,
    /// What the consumer made.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// As a worker of a released build asks: for the todo service.
impl From<EventRef> for RecordRef {
    fn from(EventRef { event_id, traceparent }: EventRef) -> Self {
        Self { event_id, traceparent, consumer: None, reference: None }
    }
}

/// The input of the activity that publishes a copy to one consumer's queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyRef {
    /// The outbox event.
    pub event_id: EventId,
    /// The trace the registration belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<TraceParent>,
    /// The consumer whose queue the copy goes to.
    pub consumer: ConsumerName,
    /// Whether the copy goes only into an empty queue.
    #[serde(default)]
    pub only_if_empty: bool,
}

/// What the broker did with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Published {
    /// It is in every queue that it is meant for.
    Confirmed,
    /// The broker did not take it for every queue: one is full or unbound.
    Refused,
    /// Messages still wait in the queue; no copy was added.
    Waiting,
}

/// An operator does not await a consumer any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiver {
    /// The consumer.
    pub consumer: ConsumerName,
}

/// What the todo service acknowledges, and the inbox proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Acknowledgement {
    /// The event that was processed.
    pub event_id: EventId,
    /// The welcome todo.
    pub todo_id: TodoId,
}

/// The answer of the `progress` query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The stage the workflow is in.
    pub stage: Stage,
    /// Confirmed publishes so far.
    pub publishes: u32,
    /// Overdue checks so far.
    pub overdue_checks: u32,
    /// The acknowledged todo, once there is one.
    pub todo_id: Option<TodoId>,
    /// The consumers that are still awaited; empty in the plan of released
    /// builds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaited: Vec<ConsumerName>,
}
