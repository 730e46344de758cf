//! Whether the services can have written an outbox row like that. Pure, so nothing is
//! lost when a process dies.

use mongodb::bson::Document;
use onboard_contract::{OutboxStatus, UserId};
use onboard_events::UserRegistered;
use onboard_events::user_registered::{AGGREGATE_USER, USER_REGISTERED};
use onboard_mongo::Field;
use onboard_outbox::OutboxRow;

use crate::user::User;

/// The times of a row come from several machines: so much may their clocks
/// disagree before an order counts as impossible.
const SKEW_MS: i64 = 10_000;

/// The user of a registration, where aggregate and payload agree on one.
pub(crate) fn user_of(row: &onboard_outbox::Row) -> Option<UserId> {
    let of_payload = row.payload.as_ref().known().and_then(|payload| payload.user_id.known());
    row.aggregate_id.known().filter(|user| of_payload == Some(*user))
}

/// What is wrong with the row alone, of which the whole document is needed.
pub(crate) fn altered(document: &Document, row: &onboard_outbox::Row) -> Option<&'static str> {
    match row.known_type() {
        Some(event_type) if !onboard_events::is_registration(event_type) => {
            if !is_publishable(document) {
                return Some("no message of its event type can be made of it");
            }
        }
        Some(_) | None => {
            if user_of(row).is_none() {
                return Some("aggregateId and payload.userId are not the same UUID");
            }
            if !has_constants(row) {
                return Some("aggregateType, eventType or schemaVersion is another");
            }
        }
    }
    if !has_consumers(row) {
        return Some("expects, acknowledgements or waived is of another type");
    }
    if row.aggregate_version.is_other() {
        return Some("aggregateVersion is of another type");
    }
    let times = [row.created_at, row.started_at, row.sent_at, row.acknowledged_at];
    if row.created_at == Field::Unset || times.iter().any(Field::is_other) {
        return Some("a time is missing or of another type");
    }
    let (sent, acknowledged) = (row.sent_at.known(), row.acknowledged_at.known());
    match row.status.known() {
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
        Some(OutboxStatus::Sent) if row.started_at == Field::Unset => {
            return Some("it is SENT and has no startedAt");
        }
        Some(OutboxStatus::Pending | OutboxStatus::Sent) => (),
    }
    (!in_order(times)).then_some("its times are out of order")
}

/// What disagrees between the row and its user.
pub(crate) fn disagrees(row: &onboard_outbox::Row, user: &User) -> Option<&'static str> {
    let payload = row.payload.as_ref().known();
    let email = payload.and_then(|payload| payload.email.as_ref().known());
    if email.is_none() || email != user.email.as_ref() {
        return Some("payload.email is not the user's");
    }
    // Written by one transaction with one time.
    (row.created_at.known() != user.created_at_ms).then_some("createdAt is not the user's")
}

/// Whether the row has a message that its consumers can read, of a known version.
fn is_publishable(document: &Document) -> bool {
    OutboxRow::read(document).is_ok_and(|row| row.event_type.message(row.event).is_ok())
}

fn has_constants(row: &onboard_outbox::Row) -> bool {
    let is =
        |field: &Field<String>, word: &str| field.as_ref().known().is_some_and(|it| it == word);
    is(&row.aggregate_type, AGGREGATE_USER)
        && is(&row.event_type, USER_REGISTERED)
        && UserRegistered::TYPE
            .versions()
            .any(|version| row.schema_version == Field::Is(version.number.into()))
}

/// Whether every consumer, acknowledgement and waiver can be read.
fn has_consumers(row: &onboard_outbox::Row) -> bool {
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

fn in_order(times: [Field<i64>; 4]) -> bool {
    let known: Vec<i64> = times.into_iter().filter_map(Field::known).collect();
    known.is_sorted_by(|earlier, later| *earlier <= later.saturating_add(SKEW_MS))
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{Bson, DateTime, doc};
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
        judged(&row)
    }

    fn judged(row: &Document) -> Option<&'static str> {
        altered(row, &onboard_outbox::Row::read(row))
    }

    #[test]
    fn every_altered_field_is_seen() {
        assert_eq!(judged(&whole()), None);
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
