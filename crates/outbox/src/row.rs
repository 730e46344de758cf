//! The one decoder of an outbox row: each field is read on its own.
//!
//! [`Row::read`] takes any document, so one bad field spoils neither the other
//! fields nor the other rows. A caller that needs a field asks the method of its
//! name, which says what is wrong with it. A caller that can do without it looks
//! at the field. The functions are pure: a process that dies here has changed
//! nothing.

use std::collections::BTreeMap;
use std::fmt;

use mongodb::bson::Document;
use onboard_contract::{
    ConsumerName, Delivery, EventId, EventType, OutboxStatus, TraceParent, UserId,
};
use onboard_mongo::field::{self, COUNT, DATE, Field, Malformed, TEXT, UUID};

/// What a malformed list of consumers should have been.
const NAMES: &str = "a list of consumers' names";

/// An outbox row as it was found. Times are in ms since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The event (`_id`).
    pub id: Field<EventId>,
    /// The kind of the aggregate.
    pub aggregate_type: Field<String>,
    /// The user.
    pub aggregate_id: Field<UserId>,
    /// The type of the event.
    pub event_type: Field<String>,
    /// The version of the event's schema.
    pub schema_version: Field<i64>,
    /// How many events of the aggregate there were, with this one.
    pub aggregate_version: Field<i64>,
    /// What the event says.
    pub payload: Field<Payload>,
    /// The trace that the registration belongs to, as it is stored.
    pub traceparent: Field<String>,
    /// How far the row is; another word than these is of no type.
    pub status: Field<OutboxStatus>,
    /// When the user registered.
    pub created_at: Field<i64>,
    /// When the relay noted the workflow.
    pub started_at: Field<i64>,
    /// When the broker's confirm was noted.
    pub sent_at: Field<i64>,
    /// When the acknowledgement was recorded.
    pub acknowledged_at: Field<i64>,
    /// The consumers that are to acknowledge the event. Unset in a row of a
    /// released build: then it is the todo service alone.
    pub expects: Field<Vec<ConsumerName>>,
    /// What each consumer has acknowledged, by its name.
    pub acknowledgements: Field<BTreeMap<String, ConsumerAcknowledgement>>,
    /// The consumers that an operator does not await any more, by their name.
    pub waived: Field<BTreeMap<String, ConsumerWaiver>>,
    /// The relay's tries.
    pub attempts: Field<u32>,
    /// How often Temporal has refused the row while others passed.
    pub refusals: Field<u32>,
    /// When the relay looks again.
    pub next_attempt_at: Field<i64>,
    /// Since when the relay has known that the row says it was created in the future.
    pub ahead_seen_at: Field<i64>,
    /// Since when the relay leaves the row alone.
    pub quarantined_at: Field<i64>,
    /// Why the last try failed.
    pub last_error: Field<String>,
}

/// A consumer's acknowledgement, as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerAcknowledgement {
    /// When it was recorded.
    pub at: Field<i64>,
    /// What the consumer made.
    pub reference: Field<String>,
}

/// Why an operator does not await a consumer any more, as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerWaiver {
    /// When it was recorded.
    pub at: Field<i64>,
    /// The operator's words.
    pub reason: Field<String>,
}

/// The payload of a row. Personal data: never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    /// The user.
    pub user_id: Field<UserId>,
    /// The address as given.
    pub email: Field<String>,
}

impl Row {
    /// Reads a row, or as much of it as the projection has left.
    #[must_use]
    pub fn read(row: &Document) -> Self {
        let text = |name| field::text(row, name).map(str::to_owned);
        let time = |name| field::time(row, name);
        Self {
            id: field::id(row, "_id").map(EventId::from),
            aggregate_type: text("aggregateType"),
            aggregate_id: field::id(row, "aggregateId").map(UserId::from),
            event_type: text("eventType"),
            schema_version: field::number(row, "schemaVersion"),
            aggregate_version: field::number(row, "aggregateVersion"),
            payload: field::document(row, "payload").map(Payload::read),
            traceparent: text("traceparent"),
            status: field::read(row, "status", |word| status(word.as_str()?)),
            created_at: time("createdAt"),
            started_at: time("startedAt"),
            sent_at: time("sentAt"),
            acknowledged_at: time("acknowledgedAt"),
            expects: field::list(row, "expects", |name| name.as_str()?.parse().ok()).map(distinct),
            acknowledgements: field::document(row, "acknowledgements").map(acknowledgements),
            waived: field::document(row, "waived").map(waived),
            attempts: field::count(row, "attempts"),
            refusals: field::count(row, "refusals"),
            next_attempt_at: time("nextAttemptAt"),
            ahead_seen_at: time("aheadSeenAt"),
            quarantined_at: time("quarantinedAt"),
            last_error: text("lastError"),
        }
    }

    pub(crate) fn id(&self) -> Result<EventId, Malformed> {
        self.id.required("_id", UUID)
    }

    pub(crate) fn schema_version(&self) -> Result<i64, Malformed> {
        self.schema_version.required("schemaVersion", COUNT)
    }

    pub(crate) fn aggregate_id(&self) -> Result<UserId, Malformed> {
        self.aggregate_id.required("aggregateId", UUID)
    }

    pub(crate) fn event_type(&self) -> Result<&str, Malformed> {
        self.event_type.as_ref().required("eventType", TEXT).map(String::as_str)
    }

    /// The trace; none when the field holds none. It decides nothing.
    #[must_use]
    pub fn traceparent(&self) -> Option<TraceParent> {
        TraceParent::parse(self.traceparent.as_ref().known()?).ok()
    }

    /// The row's status.
    ///
    /// # Errors
    /// The field holds something else, or is missing where it must be.
    pub fn status(&self) -> Result<OutboxStatus, Malformed> {
        self.status.required("status", "PENDING or SENT")
    }

    /// When the row was created.
    ///
    /// # Errors
    /// The field holds something else, or is missing where it must be.
    pub fn created_at(&self) -> Result<i64, Malformed> {
        self.created_at.required("createdAt", DATE)
    }

    /// When the event happened: what the row says, or else the time of birth of the
    /// event's id. `None` when neither tells.
    pub(crate) fn occurred_at(&self) -> Option<i64> {
        let born = || onboard_mongo::bson_time::born_ms(self.id.known()?.uuid());
        self.created_at.known().or_else(born)
    }

    /// When its workflow was noted.
    ///
    /// # Errors
    /// The field holds something else, or is missing where it must be.
    pub fn started_at(&self) -> Result<Option<i64>, Malformed> {
        self.started_at.optional("startedAt", DATE)
    }

    /// When the broker's confirm was noted.
    ///
    /// # Errors
    /// The field holds something else, or is missing where it must be.
    pub fn sent_at(&self) -> Result<Option<i64>, Malformed> {
        self.sent_at.optional("sentAt", DATE)
    }

    /// When the last acknowledgement was recorded.
    ///
    /// # Errors
    /// The field holds something else, or is missing where it must be.
    pub fn acknowledged_at(&self) -> Result<Option<i64>, Malformed> {
        self.acknowledged_at.optional("acknowledgedAt", DATE)
    }

    /// The consumers that are to acknowledge the event: those that the row
    /// names, or else those of its type.
    ///
    /// # Errors
    /// The field holds something else than names.
    pub fn expects(&self) -> Result<Vec<ConsumerName>, Malformed> {
        let expects = self.expects.as_ref().optional("expects", NAMES)?;
        Ok(expects.cloned().unwrap_or_else(|| {
            let of_type = self.known_type().into_iter().flat_map(EventType::consumer_names);
            of_type.cloned().collect()
        }))
    }

    /// The event type, if this build knows it. That of a row that has no readable
    /// one is the registration's.
    #[must_use]
    pub fn known_type(&self) -> Option<&'static EventType> {
        let name =
            self.event_type.as_ref().known().map_or(onboard_events::RELEASED.name, String::as_str);
        onboard_events::find(name)
    }

    /// The consumers that are still to acknowledge the event, in the order of
    /// `expects`. One that an operator has waived is none of them.
    ///
    /// # Errors
    /// `expects` holds something else than names.
    pub fn awaited(&self) -> Result<Vec<ConsumerName>, Malformed> {
        let mut expects = self.expects()?;
        if self.acknowledged_at.as_ref().known().is_some() {
            return Ok(Vec::new());
        }
        let acknowledged = self.acknowledgements.as_ref().known();
        let waived = self.waived.as_ref().known();
        expects.retain(|name| {
            let name = name.as_str();
            !acknowledged.is_some_and(|all| all.contains_key(name))
                && !waived.is_some_and(|all| all.contains_key(name))
        });
        Ok(expects)
    }

    /// What a run of the workflow is to deliver; absent where the plan of
    /// released builds does: the todo service is the only consumer.
    ///
    /// # Errors
    /// `expects` holds something else than names.
    pub fn delivery(&self) -> Result<Option<Delivery>, Malformed> {
        let expects = self.expects()?;
        let name =
            self.event_type.as_ref().known().map_or(onboard_events::RELEASED.name, String::as_str);
        if name == onboard_events::RELEASED.name && expects == [onboard_events::RELEASED_CONSUMER] {
            return Ok(None);
        }
        let sent = self.status.known() == Some(OutboxStatus::Sent);
        let acknowledged =
            self.acknowledgements.as_ref().known().is_some_and(|all| !all.is_empty());
        let mut consumers = self.awaited()?;
        if consumers.is_empty() {
            // The row does not know that it is done: each acknowledges again.
            consumers = expects;
        }
        Ok(Some(Delivery::to(consumers, sent || acknowledged)))
    }

    /// The tries; a field that holds no count counts as none.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts.known().unwrap_or_default()
    }

    /// The refusals; a field that holds no count counts as none.
    pub(crate) fn refusals(&self) -> u32 {
        self.refusals.known().unwrap_or_default()
    }

    pub(crate) fn next_attempt_at(&self) -> Result<i64, Malformed> {
        self.next_attempt_at.required("nextAttemptAt", DATE)
    }
}

impl Payload {
    fn read(payload: &Document) -> Self {
        Self {
            user_id: field::id(payload, "userId").map(UserId::from),
            email: field::text(payload, "email").map(str::to_owned),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

/// Each name once, in the order of the first ones.
fn distinct(names: Vec<ConsumerName>) -> Vec<ConsumerName> {
    let mut each = Vec::with_capacity(names.len());
    for name in names {
        if !each.contains(&name) {
            each.push(name);
        }
    }
    each
}

fn acknowledgements(all: &Document) -> BTreeMap<String, ConsumerAcknowledgement> {
    let names = all.keys().cloned();
    let read = names.map(|name| {
        let one = all.get_document(&name).cloned().unwrap_or_default();
        let reference = field::text(&one, "ref").map(str::to_owned);
        let at = field::time(&one, "at");
        (name, ConsumerAcknowledgement { at, reference })
    });
    read.collect()
}

fn waived(all: &Document) -> BTreeMap<String, ConsumerWaiver> {
    let names = all.keys().cloned();
    let read = names.map(|name| {
        let one = all.get_document(&name).cloned().unwrap_or_default();
        let reason = field::text(&one, "reason").map(str::to_owned);
        (name, ConsumerWaiver { at: field::time(&one, "at"), reason })
    });
    read.collect()
}

fn status(word: &str) -> Option<OutboxStatus> {
    [OutboxStatus::Pending, OutboxStatus::Sent].into_iter().find(|known| known.as_str() == word)
}

#[cfg(test)]
mod tests;
