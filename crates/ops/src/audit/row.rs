//! An outbox row, and whether the services can have written it like that.

use mongodb::bson::{Document, doc};
use onboard_contract::names::{AGGREGATE_USER, SCHEMA_VERSION, USER_REGISTERED};
use onboard_contract::{ConsumerName, EventId, OutboxStatus, UserId};
use onboard_store::{Field, outbox};

use crate::audit::user::User;

/// The times of a row come from several machines: so much may their clocks
/// disagree before an order counts as impossible.
const SKEW_MS: i64 = 10_000;

/// A row whose id is readable.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) event: EventId,
    /// The user, where aggregate and payload agree on one.
    pub(crate) user: Option<UserId>,
    pub(crate) status: Option<OutboxStatus>,
    pub(crate) created_at: Field<i64>,
    pub(crate) started_at: Field<i64>,
    pub(crate) sent_at: Field<i64>,
    pub(crate) acknowledged_at: Field<i64>,
    /// The consumers that it expects.
    pub(crate) expects: Vec<ConsumerName>,
    /// Those of them that it awaits, or should.
    unsettled: Vec<ConsumerName>,
    email: Option<String>,
    constants: bool,
    consumers: bool,
}

impl Row {
    pub(crate) fn projection() -> Document {
        doc! { "traceparent": 0, "lastError": 0, "attempts": 0, "nextAttemptAt": 0 }
    }

    /// Reads one; `None` when its id is none.
    pub(crate) fn read(row: &Document) -> Option<Self> {
        let row = outbox::Row::read(row);
        let constants = has_constants(&row);
        let consumers = has_consumers(&row);
        let (expects, unsettled) = (row.expects().unwrap_or_default(), unsettled(&row));
        let payload = row.payload.known();
        let of_payload = payload.as_ref().and_then(|payload| payload.user_id.known());
        Some(Self {
            event: row.id.known()?,
            user: row.aggregate_id.known().filter(|user| of_payload == Some(*user)),
            status: row.status.known(),
            created_at: row.created_at,
            started_at: row.started_at,
            sent_at: row.sent_at,
            acknowledged_at: row.acknowledged_at,
            email: payload.and_then(|payload| payload.email.known()),
            expects,
            unsettled,
            constants,
            consumers,
        })
    }

    pub(crate) fn acknowledged_at_ms(&self) -> Option<i64> {
        self.acknowledged_at.known()
    }

    /// The expected consumers that have neither acknowledged nor are waived, in a
    /// row that counts as acknowledged.
    pub(crate) fn forgotten(&self) -> &[ConsumerName] {
        if self.acknowledged_at_ms().is_some() { &self.unsettled } else { &[] }
    }

    /// The consumers that it awaits where it expects more than the todo service.
    pub(crate) fn awaited(&self) -> Option<String> {
        let names: Vec<&str> = self.unsettled.iter().map(ConsumerName::as_str).collect();
        (self.expects != [ConsumerName::TODO]).then(|| names.join(", "))
    }

    /// Whether the relay must have started its workflow.
    pub(crate) fn was_started(&self) -> bool {
        let times = [self.started_at, self.sent_at, self.acknowledged_at];
        times.into_iter().any(|time| time.known().is_some())
    }

    /// What is wrong with the row alone.
    pub(crate) fn altered(&self) -> Option<&'static str> {
        if self.user.is_none() {
            return Some("aggregateId and payload.userId are not the same UUID");
        }
        if !self.constants {
            return Some("aggregateType, eventType or schemaVersion is another");
        }
        if !self.consumers {
            return Some("expects, acknowledgements or waived is of another type");
        }
        let times = [self.created_at, self.started_at, self.sent_at, self.acknowledged_at];
        if self.created_at == Field::Unset || times.iter().any(Field::is_other) {
            return Some("a time is missing or of another type");
        }
        let (sent, acknowledged) = (self.sent_at.known(), self.acknowledged_at.known());
        match self.status {
            None => return Some("the status is neither PENDING nor SENT"),
            Some(OutboxStatus::Pending) if acknowledged.is_some() => {
                return Some("it is PENDING and has acknowledgedAt");
            }
            Some(OutboxStatus::Pending) if sent.is_some() => {
                return Some("it is PENDING and has sentAt");
            }
            Some(OutboxStatus::Sent) if sent.is_none() => {
                return Some("it is SENT and has no sentAt");
            }
            Some(OutboxStatus::Sent) if self.started_at == Field::Unset => {
                return Some("it is SENT and has no startedAt");
            }
            Some(OutboxStatus::Pending | OutboxStatus::Sent) => (),
        }
        (!in_order(times)).then_some("its times are out of order")
    }

    /// What disagrees between the row and its user.
    pub(crate) fn disagrees_with(&self, user: &User) -> Option<&'static str> {
        if self.email.is_none() || self.email != user.email {
            return Some("payload.email is not the user's");
        }
        // Written by one transaction with one time.
        (self.created_at.known() != user.created_at_ms).then_some("createdAt is not the user's")
    }
}

fn has_constants(row: &outbox::Row) -> bool {
    let is =
        |field: &Field<String>, word: &str| field.as_ref().known().is_some_and(|it| it == word);
    is(&row.aggregate_type, AGGREGATE_USER)
        && is(&row.event_type, USER_REGISTERED)
        && row.schema_version == Field::Is(i64::from(SCHEMA_VERSION))
}

/// Whether every consumer, acknowledgement and waiver can be read.
fn has_consumers(row: &outbox::Row) -> bool {
    let acknowledgements = row.acknowledgements.as_ref().known();
    let waived = row.waived.as_ref().known();
    !row.expects.is_other()
        && !row.acknowledgements.is_other()
        && !row.waived.is_other()
        && acknowledgements
            .into_iter()
            .flatten()
            .all(|(_, one)| one.at.known().is_some() && !one.reference.is_other())
        && waived
            .into_iter()
            .flatten()
            .all(|(_, one)| one.at.known().is_some() && one.reason.as_ref().known().is_some())
}

/// The expected consumers that have neither acknowledged nor are waived. A
/// released build notes the todo service's acknowledgement in `acknowledgedAt`
/// alone.
fn unsettled(row: &outbox::Row) -> Vec<ConsumerName> {
    let acknowledged = row.acknowledgements.as_ref().known();
    let waived = row.waived.as_ref().known();
    let released = row.expects == Field::Unset && row.acknowledged_at.known().is_some();
    let mut names = row.expects().unwrap_or_default();
    names.retain(|name| {
        let key = name.as_str();
        let settled = acknowledged.is_some_and(|all| all.contains_key(key))
            || waived.is_some_and(|all| all.contains_key(key))
            || (released && *name == ConsumerName::TODO);
        !settled
    });
    names
}

fn in_order(times: [Field<i64>; 4]) -> bool {
    let known: Vec<i64> = times.into_iter().filter_map(Field::known).collect();
    known.is_sorted_by(|earlier, later| *earlier <= later.saturating_add(SKEW_MS))
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{Bson, DateTime};
    use uuid::Uuid;

    use super::*;
    use crate::audit::document::stored;

    fn whole() -> Document {
        let (event, user) = (stored(Uuid::from_u128(1)), stored(Uuid::from_u128(2)));
        let at = |ms| DateTime::from_millis(ms);
        doc! {
            "_id": event, "aggregateType": "User", "aggregateId": user.clone(),
            "eventType": "USER_REGISTERED", "schemaVersion": 1_i64,
            "payload": { "userId": user, "email": "a@example.com" },
            "status": "SENT", "createdAt": at(1_000_000), "startedAt": at(1_000_001),
            "sentAt": at(1_000_002), "acknowledgedAt": at(1_000_003),
        }
    }

    fn with(field: &str, value: impl Into<Bson>) -> Option<&'static str> {
        let mut row = whole();
        row.insert(field, value);
        Row::read(&row).unwrap().altered()
    }

    #[test]
    fn every_altered_field_is_seen() {
        assert_eq!(Row::read(&whole()).unwrap().altered(), None);
        let far = DateTime::from_millis(2_000_000);
        let alterations: [(&str, Bson); 12] = [
            ("aggregateId", stored(Uuid::from_u128(3))),
            ("payload", Bson::Null),
            ("aggregateType", "Order".into()),
            ("eventType", "USER_DELETED".into()),
            ("schemaVersion", 2_i64.into()),
            ("status", "DONE".into()),
            ("status", "PENDING".into()),
            ("createdAt", Bson::Null),
            ("createdAt", far.into()),
            ("startedAt", Bson::Null),
            ("sentAt", Bson::Null),
            ("acknowledgedAt", "noon".into()),
        ];
        for (field, value) in alterations {
            assert!(with(field, value.clone()).is_some(), "{field}: {value}");
        }
    }

    #[test]
    fn an_acknowledged_row_has_the_acknowledgement_of_every_consumer() {
        let forgotten = |extra: Document| {
            let mut row = whole();
            row.extend(extra);
            let row = Row::read(&row).unwrap();
            assert_eq!(row.altered(), None, "{row:?}");
            row.forgotten().iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let at = DateTime::from_millis(1_000_003);
        let done = doc! { "at": at };
        assert!(forgotten(doc! {}).is_empty(), "a row of a released build");
        let both = doc! { "todo": done.clone(), "crm": { "at": at, "ref": "7" } };
        let expects = || vec!["todo", "crm"];
        assert!(forgotten(doc! { "expects": expects(), "acknowledgements": both }).is_empty());
        let one = doc! { "todo": done.clone() };
        assert_eq!(
            forgotten(doc! { "expects": expects(), "acknowledgements": one.clone() }),
            ["crm"]
        );
        let waived = doc! { "crm": { "at": at, "reason": "gone" } };
        let row = doc! { "expects": expects(), "acknowledgements": one, "waived": waived };
        assert!(forgotten(row).is_empty());
        assert_eq!(forgotten(doc! { "expects": expects() }), expects());
        let unfinished = doc! { "expects": expects(), "acknowledgedAt": Bson::Null };
        assert!(forgotten(unfinished).is_empty());
    }

    #[test]
    fn consumers_of_another_type_are_seen() {
        let at = DateTime::from_millis(1_000_003);
        let alterations: [(&str, Bson); 7] = [
            ("expects", "todo".into()),
            ("expects", vec![5].into()),
            ("acknowledgements", "all".into()),
            ("acknowledgements", doc! { "todo": at }.into()),
            ("acknowledgements", doc! { "todo": { "at": at, "ref": 5 } }.into()),
            ("waived", 5.into()),
            ("waived", doc! { "crm": { "at": at } }.into()),
        ];
        for (field, value) in alterations {
            let seen = with(field, value.clone());
            assert!(seen.is_some_and(|why| why.contains("expects")), "{field}: {value}");
        }
    }

    #[test]
    fn clocks_may_disagree_a_little() {
        let late = |ms: i64| with("startedAt", DateTime::from_millis(1_000_002 + ms));
        assert_eq!(late(SKEW_MS), None);
        assert_eq!(late(SKEW_MS + 1), Some("its times are out of order"));
    }
}
