use mongodb::bson::spec::ElementType;
use mongodb::bson::{Bson, DateTime, doc};
use onboard_mongo::bson_time;
use onboard_mongo::testing::{
    Takes, any_value, every_type, is_count, is_date, is_document, is_number, is_text, is_uuid, seen,
};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

/// Every field of a row, and which of the values it takes.
const FIELDS: [(&str, Takes); 22] = [
    ("_id", is_uuid),
    ("aggregateType", is_text),
    ("aggregateId", is_uuid),
    ("eventType", is_text),
    ("schemaVersion", is_number),
    ("aggregateVersion", is_number),
    ("payload", is_document),
    ("traceparent", is_text),
    ("status", |_| false),
    ("createdAt", is_date),
    ("startedAt", is_date),
    ("sentAt", is_date),
    ("acknowledgedAt", is_date),
    ("expects", |_| false),
    ("acknowledgements", is_document),
    ("waived", is_document),
    ("attempts", is_count),
    ("refusals", is_count),
    ("nextAttemptAt", is_date),
    ("aheadSeenAt", is_date),
    ("quarantinedAt", is_date),
    ("lastError", is_text),
];

/// The fields that decide nothing, or that are read more closely elsewhere.
const NEEDED_BY_NOBODY: [&str; 11] = [
    "aggregateType",
    "aggregateVersion",
    "payload",
    "traceparent",
    "acknowledgements",
    "waived",
    "attempts",
    "refusals",
    "aheadSeenAt",
    "quarantinedAt",
    "lastError",
];

fn whole() -> Document {
    let (event, user) = (Uuid::from_u128(1), bson_time::id(Uuid::from_u128(2)));
    let at = DateTime::from_millis;
    doc! {
        "_id": bson_time::id(event), "aggregateType": "User", "aggregateId": user.clone(),
        "eventType": "USER_REGISTERED", "schemaVersion": 1_i64, "aggregateVersion": 1_i64,
        "payload": { "userId": user, "email": "ada@example.com" },
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "status": "SENT", "createdAt": at(1), "startedAt": at(2), "sentAt": at(3),
        "acknowledgedAt": at(4), "expects": ["todo", "crm"],
        "acknowledgements": { "todo": { "at": at(4), "ref": "a" } },
        "waived": { "search": { "at": at(4), "reason": "gone" } }, "attempts": 5, "refusals": 6_i64, "nextAttemptAt": at(7),
        "aheadSeenAt": at(8), "quarantinedAt": at(8), "lastError": "why",
    }
}

fn with(name: &str, value: Bson) -> Row {
    let mut row = whole();
    row.insert(name, value);
    Row::read(&row)
}

/// A field by its name, without its value.
fn found(row: &Row, name: &str) -> Field<()> {
    let row = row.clone();
    match name {
        "_id" => row.id.map(drop),
        "aggregateType" => row.aggregate_type.map(drop),
        "aggregateId" => row.aggregate_id.map(drop),
        "eventType" => row.event_type.map(drop),
        "schemaVersion" => row.schema_version.map(drop),
        "aggregateVersion" => row.aggregate_version.map(drop),
        "payload" => row.payload.map(drop),
        "traceparent" => row.traceparent.map(drop),
        "status" => row.status.map(drop),
        "createdAt" => row.created_at.map(drop),
        "startedAt" => row.started_at.map(drop),
        "sentAt" => row.sent_at.map(drop),
        "acknowledgedAt" => row.acknowledged_at.map(drop),
        "expects" => row.expects.map(drop),
        "acknowledgements" => row.acknowledgements.map(drop),
        "waived" => row.waived.map(drop),
        "attempts" => row.attempts.map(drop),
        "refusals" => row.refusals.map(drop),
        "nextAttemptAt" => row.next_attempt_at.map(drop),
        "aheadSeenAt" => row.ahead_seen_at.map(drop),
        "quarantinedAt" => row.quarantined_at.map(drop),
        "lastError" => row.last_error.map(drop),
        other => panic!("{other} is no field of a row"),
    }
}

/// The strict word for a field, where somebody needs it.
fn strictly(row: &Row, name: &str) -> Result<(), Malformed> {
    match name {
        "_id" => row.id().map(drop),
        "aggregateId" => row.aggregate_id().map(drop),
        "eventType" => row.event_type().map(drop),
        "schemaVersion" => row.schema_version().map(drop),
        "status" => row.status().map(drop),
        "createdAt" => row.created_at().map(drop),
        "startedAt" => row.started_at().map(drop),
        "sentAt" => row.sent_at().map(drop),
        "acknowledgedAt" => row.acknowledged_at().map(drop),
        "expects" => row.expects().map(drop),
        "nextAttemptAt" => row.next_attempt_at().map(drop),
        _ => Ok(()),
    }
}

/// Every field but this one is as in the whole row.
fn assert_alone(row: &Row, name: &str) {
    let whole = Row::read(&whole());
    for (other, _) in FIELDS.iter().filter(|(other, _)| *other != name) {
        assert_eq!(found(row, other), found(&whole, other), "{other} beside a damaged {name}");
        assert_eq!(strictly(row, other), Ok(()), "{other} beside a damaged {name}");
    }
}

#[test]
fn a_whole_row_is_read() {
    let row = Row::read(&whole());
    let (event, user) = (Uuid::from_u128(1).into(), UserId::from(Uuid::from_u128(2)));
    assert_eq!((row.id(), row.aggregate_id()), (Ok(event), Ok(user)));
    let payload = row.payload.clone().known().unwrap();
    assert_eq!(payload.user_id, Field::Is(user));
    assert_eq!(payload.email, Field::Is("ada@example.com".to_owned()));
    assert!(row.traceparent().is_some());
    assert_eq!(row.status(), Ok(OutboxStatus::Sent));
    assert_eq!((row.occurred_at(), row.started_at()), (Some(1), Ok(Some(2))));
    assert_eq!((row.sent_at(), row.acknowledged_at()), (Ok(Some(3)), Ok(Some(4))));
    assert_eq!((row.attempts(), row.refusals()), (5, 6));
    assert_eq!((row.next_attempt_at(), row.quarantined_at), (Ok(7), Field::Is(8)));
    assert_eq!(row.last_error, Field::Is("why".to_owned()));
    assert_eq!(row.schema_version, Field::Is(1));
    assert_eq!(row.aggregate_type, Field::Is("User".to_owned()));
    assert_eq!(row.event_type, Field::Is("USER_REGISTERED".to_owned()));
}

#[test]
fn every_type_in_every_place_is_a_matter_of_that_field_alone() {
    for (name, takes) in FIELDS {
        for value in every_type() {
            let row = with(name, value.clone());
            let counts = ["attempts", "refusals"].contains(&name);
            let expected = match &value {
                Bson::Null if counts => Field::Other(ElementType::Null),
                value => seen(value, takes),
            };
            assert_eq!(found(&row, name), expected, "{name}: {value}");
            if let Err(malformed) = strictly(&row, name) {
                let other = if let Field::Other(other) = expected { Some(other) } else { None };
                assert_eq!((malformed.field, malformed.found), (name, other), "{name}: {value}");
            } else if let Field::Other(_) = expected {
                assert!(NEEDED_BY_NOBODY.contains(&name), "{name}: {value}");
            }
            assert_alone(&row, name);
        }
    }
}

#[test]
fn a_missing_field_is_a_matter_of_that_field_alone() {
    let required = [
        "_id",
        "aggregateId",
        "eventType",
        "schemaVersion",
        "status",
        "createdAt",
        "nextAttemptAt",
    ];
    for (name, _) in FIELDS {
        let mut row = whole();
        row.remove(name);
        let row = Row::read(&row);
        assert_eq!(found(&row, name), Field::Unset, "{name}");
        let strict = strictly(&row, name).map_err(|malformed| (malformed.field, malformed.found));
        let expected = if required.contains(&name) { Err((name, None)) } else { Ok(()) };
        assert_eq!(strict, expected, "{name}");
        assert_alone(&row, name);
    }
    let nothing = Row::read(&doc! {});
    assert!(FIELDS.iter().all(|(name, _)| found(&nothing, name) == Field::Unset));
    assert_eq!((nothing.attempts(), nothing.refusals()), (0, 0));
}

#[test]
fn every_type_in_the_payload_is_a_matter_of_that_field_alone() {
    for value in every_type() {
        let user = with("payload", doc! { "userId": value.clone(), "email": "a@b" }.into());
        let user = user.payload.known().unwrap();
        assert_eq!(user.user_id.map(drop), seen(&value, is_uuid), "{value}");
        assert_eq!(user.email, Field::Is("a@b".to_owned()), "{value}");
        let email = with("payload", doc! { "userId": 7, "email": value.clone() }.into());
        let email = email.payload.known().unwrap();
        assert_eq!(email.email.map(drop), seen(&value, is_text), "{value}");
        let said = email.user_id.required("payload.userId", UUID).unwrap_err().to_string();
        assert_eq!(said, "payload.userId is of the BSON type Int32 where a UUID belongs");
    }
}

#[test]
fn only_the_two_words_are_a_status_and_only_a_trace_is_a_trace() {
    for (word, expected) in [
        ("PENDING", Field::Is(OutboxStatus::Pending)),
        ("SENT", Field::Is(OutboxStatus::Sent)),
        ("sent", Field::Other(ElementType::String)),
        ("", Field::Other(ElementType::String)),
    ] {
        assert_eq!(with("status", word.into()).status, expected, "{word}");
    }
    assert_eq!(with("traceparent", "none".into()).traceparent(), None);
    assert_eq!(with("traceparent", Bson::Null).traceparent(), None);
}

#[test]
fn a_row_awaits_those_that_have_not_acknowledged() {
    let names = |names: &[&str]| -> Vec<ConsumerName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    };
    let mut row = whole();
    assert_eq!(Row::read(&row).awaited(), Ok(names(&[])), "it is acknowledged");
    row.insert("acknowledgedAt", Bson::Null);
    let sent = Row::read(&row);
    assert_eq!(sent.awaited(), Ok(names(&["crm"])));
    let delivery = Delivery::to(names(&["crm"]), true);
    assert_eq!(sent.delivery(), Ok(Some(delivery)));
    row.insert("status", "PENDING");
    row.remove("acknowledgements");
    let delivery = Delivery::to(names(&["todo", "crm"]), false);
    assert_eq!(Row::read(&row).delivery(), Ok(Some(delivery)));
    row.insert("waived", doc! { "crm": { "at": DateTime::MIN, "reason": "gone" } });
    assert_eq!(Row::read(&row).awaited(), Ok(names(&["todo"])), "one of them is waived");
    row.remove("expects");
    let plain = Row::read(&row);
    assert_eq!((plain.awaited(), plain.delivery()), (Ok(names(&["todo"])), Ok(None)));
}

#[test]
fn an_event_without_a_readable_time_happened_when_its_id_was_born() {
    let (born_ms, random) = (1_700_000_000_000_u128, 7);
    let id = Uuid::from_u128((born_ms << 80) | (7 << 76) | random);
    let mut row = doc! { "_id": bson_time::id(id), "createdAt": "soon" };
    assert_eq!(Row::read(&row).occurred_at(), Some(1_700_000_000_000));
    row.insert("_id", bson_time::id(Uuid::from_u128(7)));
    assert_eq!(Row::read(&row).occurred_at(), None);
}

#[test]
fn the_address_is_not_printed() {
    let printed = format!("{:?}", Row::read(&whole()));
    assert!(!printed.contains("ada"), "{printed}");
}

proptest! {
    #[test]
    fn any_row_is_read_field_by_field(values in proptest::collection::vec(any_value(), 21)) {
        let mut row = Document::new();
        for ((name, _), value) in FIELDS.iter().zip(&values) {
            row.insert(*name, value.clone());
        }
        let row = Row::read(&row);
        for ((name, _), value) in FIELDS.iter().zip(values) {
            let alone = Row::read(&doc! { *name: value });
            prop_assert_eq!(found(&row, name), found(&alone, name));
            prop_assert_eq!(strictly(&row, name), strictly(&alone, name));
        }
    }
}
