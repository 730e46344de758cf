//! What crosses Temporal: ids, times and counters, never personal data.
//!
//! Every field added later is `#[serde(default)]`: a history written by an
//! older build must still be read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::message::Workflow;
use crate::{ConsumerName, EventConsumer, EventId, EventType, Stage, TraceParent};

/// When an acknowledgement counts as overdue, unless configured, in ms.
pub const OVERDUE_MS_DEFAULT: u64 = 30_000;

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
    /// What the event is about.
    pub aggregate_id: Uuid,
    /// The trace that the event belongs to.
    pub traceparent: Option<TraceParent>,
    /// How long after a publish its acknowledgement is overdue, in ms.
    pub overdue_ms: u64,
    /// Which consumers the event is delivered to; absent in the plan of released
    /// builds, which knows one alone.
    pub delivery: Option<Delivery>,
}

impl Start {
    /// The input of the event's workflow. The task queue of a consumer that can be asked
    /// has this prefix and the consumer's name.
    #[must_use]
    pub fn input(&self, queue_prefix: &str) -> Value {
        match self.event_type.workflow {
            Workflow::Delivery => {
                // Ids, names and numbers only: serialising them cannot fail.
                serde_json::to_value(self.delivery(queue_prefix)).unwrap_or_default()
            }
            Workflow::Own(own) => {
                let delivery = self.delivery.clone();
                (own.input)(self, delivery.map(|delivery| self.known(delivery, queue_prefix)))
            }
        }
    }

    fn delivery(&self, queue_prefix: &str) -> DeliveryInput {
        let everybody = || Delivery::to(self.event_type.consumer_names().cloned().collect(), false);
        let delivery = self.delivery.clone().unwrap_or_else(everybody);
        DeliveryInput {
            event_id: self.event_id,
            event_type: self.event_type.name.to_owned(),
            aggregate_id: self.aggregate_id,
            traceparent: self.traceparent.clone(),
            overdue_ms: self.overdue_ms,
            delivery: self.known(delivery, queue_prefix),
            carried: None,
        }
    }

    /// Adds what the table of the event type knows of these consumers. The run keeps
    /// it: a later table changes no run that has begun.
    fn known(&self, mut delivery: Delivery, queue_prefix: &str) -> Delivery {
        for EventConsumer { name, answers, reference, patience, .. } in self.event_type.consumers {
            if !delivery.consumers.contains(name) {
                continue;
            }
            if *answers {
                delivery.ask.insert(name.clone(), format!("{queue_prefix}{name}"));
            }
            if let Some(reference) = reference {
                delivery.refs.insert(name.clone(), reference(self.aggregate_id).to_string());
            }
            if let Some(patience) = patience {
                let ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
                delivery.patience.insert(name.clone(), ms);
            }
        }
        delivery
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
    /// The task queues on which consumers answer whether they have processed the
    /// event. A consumer that is not among them is not asked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ask: BTreeMap<ConsumerName, String>,
    /// The only `ref` that counts of each of these consumers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refs: BTreeMap<ConsumerName, String>,
    /// How long after a publish the acknowledgements of these consumers are overdue, in ms;
    /// of the others as the input says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub patience: BTreeMap<ConsumerName, u64>,
}

impl Delivery {
    /// To these consumers, of whom nothing else is known; `direct` as above.
    #[must_use]
    pub const fn to(consumers: Vec<ConsumerName>, direct: bool) -> Self {
        Self {
            consumers,
            direct,
            ask: BTreeMap::new(),
            refs: BTreeMap::new(),
            patience: BTreeMap::new(),
        }
    }
}

/// The input of the activity by which a consumer answers whether it has processed the
/// event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// The outbox event.
    pub event_id: EventId,
    /// What the event is about.
    pub aggregate_id: Uuid,
    /// The trace that the event belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<TraceParent>,
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

/// When an acknowledgement counts as overdue, where an input does not say it.
#[must_use]
pub const fn overdue_default() -> u64 {
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
    /// The consumer that acknowledged. Absent in histories of released builds, which
    /// know one alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<ConsumerName>,
    /// What the consumer made.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// As a worker of a released build asks: for the one consumer that it knows.
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
    /// The consumers that are still awaited; empty in the plan of released
    /// builds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaited: Vec<ConsumerName>,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::message::EventVersion;

    static TOLD: EventType = EventType {
        name: "TOLD",
        version: EventVersion {
            number: 1,
            versioned_name: "test.told.v1",
            data_schema: "urn:test:schema:told:1",
            check: |_| Ok(()),
        },
        earlier: &[],
        exchange: "told.events",
        routing_key: "told",
        source: "urn:test",
        workflow: Workflow::Delivery,
        consumers: &[EventConsumer {
            name: ConsumerName::constant("post"),
            queue: None,
            answers: true,
            reference: Some(|aggregate| Uuid::from_u128(aggregate.as_u128() + 1)),
            patience: Some(Duration::from_secs(5)),
        }],
    };

    fn start(consumers: &[&str]) -> Start {
        Start {
            event_type: &TOLD,
            event_id: Uuid::from_u128(1).into(),
            aggregate_id: Uuid::from_u128(2),
            traceparent: None,
            overdue_ms: OVERDUE_MS_DEFAULT,
            delivery: Some(Delivery::to(names(consumers), false)),
        }
    }

    #[test]
    fn the_input_says_who_is_asked_which_ref_counts_and_when_each_is_overdue() {
        let delivery = start(&["post", "crm"]).delivery("a-").delivery;
        let post = ConsumerName::constant("post");
        assert_eq!(delivery.ask, BTreeMap::from([(post.clone(), "a-post".to_owned())]));
        let only = Uuid::from_u128(3).to_string();
        assert_eq!(delivery.refs, BTreeMap::from([(post.clone(), only)]));
        assert_eq!(delivery.patience, BTreeMap::from([(post, 5_000)]));
        assert_eq!(start(&["crm"]).delivery("").delivery, Delivery::to(names(&["crm"]), false));
    }

    #[test]
    fn an_earlier_input_knows_nothing_of_its_consumers_but_their_names() {
        let earlier: Delivery = serde_json::from_str(r#"{"consumers":["post"]}"#).unwrap();
        assert_eq!(earlier, Delivery::to(names(&["post"]), false));
    }

    fn names(names: &[&str]) -> Vec<ConsumerName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }
}
