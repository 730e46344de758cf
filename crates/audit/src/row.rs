//! An outbox row, and whether the services can have written it like that.

use mongodb::bson::{Bson, Document, doc};
use onboard_contract::names::{AGGREGATE_USER, SCHEMA_VERSION, USER_REGISTERED};
use onboard_contract::{EventId, OutboxStatus, UserId};

use crate::document::{Time, id, text, time};
use crate::user::User;

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
    pub(crate) created_at: Time,
    pub(crate) started_at: Time,
    pub(crate) sent_at: Time,
    pub(crate) acknowledged_at: Time,
    email: Option<String>,
    constants: bool,
}

impl Row {
    pub(crate) fn projection() -> Document {
        doc! { "traceparent": 0, "lastError": 0, "attempts": 0, "nextAttemptAt": 0 }
    }

    /// Reads one; `None` when its id is none.
    pub(crate) fn read(row: &Document) -> Option<Self> {
        let aggregate = id(row, "aggregateId");
        let payload = row.get_document("payload").ok();
        let agreed = aggregate.filter(|_| payload.and_then(|p| id(p, "userId")) == aggregate);
        Some(Self {
            event: id(row, "_id")?.into(),
            user: agreed.map(UserId::from),
            status: status(row),
            created_at: time(row, "createdAt"),
            started_at: time(row, "startedAt"),
            sent_at: time(row, "sentAt"),
            acknowledged_at: time(row, "acknowledgedAt"),
            email: payload.and_then(|p| text(p, "email")).map(str::to_owned),
            constants: has_constants(row),
        })
    }

    pub(crate) fn acknowledged_at_ms(&self) -> Option<i64> {
        self.acknowledged_at.ms()
    }

    /// Whether the relay must have started its workflow.
    pub(crate) fn was_started(&self) -> bool {
        self.started_at.ms().or(self.sent_at.ms()).or(self.acknowledged_at.ms()).is_some()
    }

    /// What is wrong with the row alone.
    pub(crate) fn altered(&self) -> Option<&'static str> {
        if self.user.is_none() {
            return Some("aggregateId and payload.userId are not the same UUID");
        }
        if !self.constants {
            return Some("aggregateType, eventType or schemaVersion is another");
        }
        let times = [self.created_at, self.started_at, self.sent_at, self.acknowledged_at];
        if self.created_at == Time::Unset || times.contains(&Time::Damaged) {
            return Some("a time is missing or of another type");
        }
        let (sent, acknowledged) = (self.sent_at.ms(), self.acknowledged_at.ms());
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
            Some(OutboxStatus::Sent) if self.started_at == Time::Unset => {
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
        (self.created_at.ms() != user.created_at_ms).then_some("createdAt is not the user's")
    }
}

fn status(row: &Document) -> Option<OutboxStatus> {
    let status = text(row, "status")?;
    [OutboxStatus::Pending, OutboxStatus::Sent].into_iter().find(|known| known.as_str() == status)
}

fn has_constants(row: &Document) -> bool {
    let version = match row.get("schemaVersion") {
        Some(Bson::Int32(version)) => Some(i64::from(*version)),
        Some(Bson::Int64(version)) => Some(*version),
        _ => None,
    };
    text(row, "aggregateType") == Some(AGGREGATE_USER)
        && text(row, "eventType") == Some(USER_REGISTERED)
        && version == Some(i64::from(SCHEMA_VERSION))
}

fn in_order(times: [Time; 4]) -> bool {
    let known: Vec<i64> = times.into_iter().filter_map(Time::ms).collect();
    known.is_sorted_by(|earlier, later| *earlier <= later.saturating_add(SKEW_MS))
}

#[cfg(test)]
mod tests {
    use mongodb::bson::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::document::stored;

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
    fn clocks_may_disagree_a_little() {
        let late = |ms: i64| with("startedAt", DateTime::from_millis(1_000_002 + ms));
        assert_eq!(late(SKEW_MS), None);
        assert_eq!(late(SKEW_MS + 1), Some("its times are out of order"));
    }
}
