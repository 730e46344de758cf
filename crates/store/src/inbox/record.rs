//! The one decoder of an inbox record: each field is read on its own.
//!
//! [`InboxRecord::read`] takes any document, so one bad field spoils neither the
//! other fields nor the other records. A caller that needs a field asks a method,
//! which says what is wrong with it. The functions are pure: a process that dies
//! here has changed nothing.

use mongodb::bson::{Bson, Document};
use onboard_contract::{Acknowledgement, EventId, TodoId, TraceParent, UserId};

use crate::field::{self, Field, Malformed, TEXT, UUID};

/// An inbox record as it was found. Times are in ms since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRecord {
    /// The event that was applied.
    pub event_id: Field<EventId>,
    /// The user.
    pub user_id: Field<UserId>,
    /// The welcome todo.
    pub todo_id: Field<TodoId>,
    /// When the record was committed.
    pub processed_at: Field<i64>,
    /// When the workflow had been told.
    pub acknowledged_at: Field<i64>,
    /// When the user deleted the welcome todo.
    pub todo_deleted_at: Field<i64>,
    /// The trace of the message that made the record, as it is stored.
    pub traceparent: Field<String>,
    /// The other users for whom a message with this event id came.
    pub conflicts: Field<Vec<Conflict>>,
}

/// What the record says about a message with its event id and another user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict {
    /// The user of that message.
    pub user_id: Field<UserId>,
    /// The welcome todo of that user.
    pub todo_id: Field<TodoId>,
    /// When the effect was committed.
    pub at: Field<i64>,
    /// When that user deleted the welcome todo.
    pub todo_deleted_at: Field<i64>,
}

impl InboxRecord {
    /// Reads a record, or as much of it as the projection has left.
    #[must_use]
    pub fn read(record: &Document) -> Self {
        Self {
            event_id: field::id(record, "eventId").map(EventId::from),
            user_id: field::id(record, "userId").map(UserId::from),
            todo_id: field::id(record, "todoId").map(TodoId::from),
            processed_at: field::time(record, "processedAt"),
            acknowledged_at: field::time(record, "acknowledgedAt"),
            todo_deleted_at: field::time(record, "todoDeletedAt"),
            traceparent: field::text(record, "traceparent").map(str::to_owned),
            conflicts: field::read(record, "conflicts", |value| {
                Some(value.as_array()?.iter().map(Conflict::read).collect())
            }),
        }
    }

    /// What the record acknowledges.
    ///
    /// # Errors
    /// One of its ids is missing or of another type.
    pub fn acknowledgement(&self) -> Result<Acknowledgement, Malformed> {
        Ok(Acknowledgement {
            event_id: self.event_id.required("eventId", UUID)?,
            todo_id: self.todo_id.required("todoId", UUID)?,
        })
    }

    /// What the record acknowledges to this user; absent when the event was
    /// applied for other users alone.
    ///
    /// # Errors
    /// The record's user or one of its ids is missing or of another type.
    pub fn acknowledgement_for(&self, user: UserId) -> Result<Option<Acknowledgement>, Malformed> {
        if self.user_id.required("userId", UUID)? == user {
            return self.acknowledgement().map(Some);
        }
        if self.conflict_of(user).is_none() {
            return Ok(None);
        }
        let event_id = self.event_id.required("eventId", UUID)?;
        Ok(Some(Acknowledgement { event_id, todo_id: TodoId::welcome(user) }))
    }

    /// The conflicts; none when the field holds something else than a list.
    #[must_use]
    pub fn conflicts(&self) -> &[Conflict] {
        self.conflicts.as_ref().known().map_or(&[], Vec::as_slice)
    }

    /// The conflict about this user.
    #[must_use]
    pub fn conflict_of(&self, user: UserId) -> Option<&Conflict> {
        self.conflicts().iter().find(|conflict| conflict.user_id == Field::Is(user))
    }

    /// The welcome todos that the record is about, and whether it notes their
    /// deletion.
    pub fn todos(&self) -> impl Iterator<Item = (TodoId, bool)> {
        let own = (self.todo_id, self.todo_deleted_at);
        let others = self.conflicts().iter().map(|one| (one.todo_id, one.todo_deleted_at));
        std::iter::once(own)
            .chain(others)
            .filter_map(|(todo, deleted)| Some((todo.known()?, deleted.known().is_some())))
    }

    /// The trace; none when its text is no trace.
    ///
    /// # Errors
    /// The field holds something else than a text.
    pub fn traceparent(&self) -> Result<Option<TraceParent>, Malformed> {
        let text = self.traceparent.as_ref().optional("traceparent", TEXT)?;
        Ok(text.and_then(|text| TraceParent::parse(text).ok()))
    }
}

impl Conflict {
    /// Reads an entry of the list; one that is no document holds nothing that
    /// can be read.
    fn read(entry: &Bson) -> Self {
        let Some(entry) = entry.as_document() else {
            let found = entry.element_type();
            return Self {
                user_id: Field::Other(found),
                todo_id: Field::Other(found),
                at: Field::Other(found),
                todo_deleted_at: Field::Other(found),
            };
        };
        Self {
            user_id: field::id(entry, "userId").map(UserId::from),
            todo_id: field::id(entry, "todoId").map(TodoId::from),
            at: field::time(entry, "at"),
            todo_deleted_at: field::time(entry, "todoDeletedAt"),
        }
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::spec::ElementType;
    use mongodb::bson::{DateTime, doc};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::bson_time;
    use crate::field::tests::{Takes, any_value, every_type, is_date, is_text, is_uuid, seen};

    /// Every field of a record, and which of the values it takes.
    const FIELDS: [(&str, Takes); 8] = [
        ("eventId", is_uuid),
        ("userId", is_uuid),
        ("todoId", is_uuid),
        ("processedAt", is_date),
        ("acknowledgedAt", is_date),
        ("todoDeletedAt", is_date),
        ("traceparent", is_text),
        ("conflicts", is_list),
    ];

    fn is_list(value: &Bson) -> bool {
        matches!(value, Bson::Array(_))
    }

    fn whole() -> Document {
        let id = |number| bson_time::id(Uuid::from_u128(number));
        let at = DateTime::from_millis;
        doc! {
            "eventId": id(1), "userId": id(2), "todoId": id(3), "processedAt": at(4),
            "acknowledgedAt": at(5), "todoDeletedAt": at(6),
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "conflicts": [{ "userId": id(7), "todoId": id(8), "at": at(9) }],
        }
    }

    /// A field by its name, without its value.
    fn found(record: &InboxRecord, name: &str) -> Field<()> {
        let record = record.clone();
        match name {
            "eventId" => record.event_id.map(drop),
            "userId" => record.user_id.map(drop),
            "todoId" => record.todo_id.map(drop),
            "processedAt" => record.processed_at.map(drop),
            "acknowledgedAt" => record.acknowledged_at.map(drop),
            "todoDeletedAt" => record.todo_deleted_at.map(drop),
            "traceparent" => record.traceparent.map(drop),
            "conflicts" => record.conflicts.map(drop),
            other => panic!("{other} is no field of a record"),
        }
    }

    #[test]
    fn a_whole_record_is_read() {
        let record = InboxRecord::read(&whole());
        let told = record.acknowledgement().unwrap();
        assert_eq!(told.event_id, Uuid::from_u128(1).into());
        assert_eq!(told.todo_id, Uuid::from_u128(3).into());
        assert_eq!(record.user_id, Field::Is(Uuid::from_u128(2).into()));
        let times = [record.processed_at, record.acknowledged_at, record.todo_deleted_at];
        assert_eq!(times, [4, 5, 6].map(Field::Is));
        assert!(record.traceparent().unwrap().is_some());
        let conflict = Conflict {
            user_id: Field::Is(Uuid::from_u128(7).into()),
            todo_id: Field::Is(Uuid::from_u128(8).into()),
            at: Field::Is(9),
            todo_deleted_at: Field::Unset,
        };
        assert_eq!(record.conflicts(), [conflict]);
    }

    #[test]
    fn each_user_is_acknowledged_the_own_todo() {
        let record = InboxRecord::read(&whole());
        let todo_for = |user| {
            let told = record.acknowledgement_for(Uuid::from_u128(user).into()).unwrap();
            told.map(|told| told.todo_id)
        };
        assert_eq!(todo_for(2), Some(Uuid::from_u128(3).into()));
        assert_eq!(todo_for(7), Some(TodoId::welcome(Uuid::from_u128(7).into())));
        assert_eq!(todo_for(10), None);
        let mut nobodys = whole();
        nobodys.insert("userId", "ada");
        let told = InboxRecord::read(&nobodys).acknowledgement_for(Uuid::from_u128(7).into());
        assert_eq!(told.unwrap_err().field, "userId");
    }

    #[test]
    fn one_bad_conflict_hides_no_other() {
        let mut record = whole();
        let other = doc! {
            "userId": bson_time::id(Uuid::from_u128(11)), "todoId": bson_time::id(Uuid::from_u128(12)),
            "at": "noon", "todoDeletedAt": DateTime::from_millis(13),
        };
        record.insert("conflicts", vec![Bson::Int32(5), Bson::Null, other.into()]);
        let record = InboxRecord::read(&record);
        assert_eq!(record.conflicts().len(), 3);
        assert_eq!(record.conflicts()[0].user_id, Field::Other(ElementType::Int32));
        let read = record.conflict_of(Uuid::from_u128(11).into()).unwrap();
        assert_eq!(read.at, Field::Other(ElementType::String));
        let todos: Vec<_> = record.todos().collect();
        let expected = [(3, true), (12, true)]
            .map(|(id, deleted)| (TodoId::from(Uuid::from_u128(id)), deleted));
        assert_eq!(todos, expected);
    }

    #[test]
    fn every_type_in_every_place_is_a_matter_of_that_field_alone() {
        let undamaged = InboxRecord::read(&whole());
        for (name, takes) in FIELDS {
            for value in every_type() {
                let mut record = whole();
                record.insert(name, value.clone());
                let record = InboxRecord::read(&record);
                let expected = seen(&value, takes);
                assert_eq!(found(&record, name), expected, "{name}: {value}");
                for (other, _) in FIELDS.iter().filter(|(other, _)| *other != name) {
                    assert_eq!(found(&record, other), found(&undamaged, other), "{other}");
                }
                let needed = ["eventId", "todoId"].contains(&name);
                let told = record.acknowledgement().is_ok();
                assert_eq!(told, !needed || expected == Field::Is(()), "{name}: {value}");
                let traced = name != "traceparent" || !expected.is_other();
                assert_eq!(record.traceparent().is_ok(), traced, "{name}: {value}");
            }
        }
    }

    #[test]
    fn a_missing_field_is_a_matter_of_that_field_alone() {
        for (name, _) in FIELDS {
            let mut record = whole();
            record.remove(name);
            let record = InboxRecord::read(&record);
            let unset: Vec<&str> = FIELDS
                .iter()
                .filter(|(name, _)| found(&record, name) == Field::Unset)
                .map(|(name, _)| *name)
                .collect();
            assert_eq!(unset, [name]);
            match record.acknowledgement() {
                Ok(_) => assert!(!["eventId", "todoId"].contains(&name), "{name}"),
                Err(malformed) => assert_eq!((malformed.field, malformed.found), (name, None)),
            }
        }
    }

    proptest! {
        #[test]
        fn any_record_is_read_field_by_field(values in proptest::collection::vec(any_value(), FIELDS.len())) {
            let mut record = Document::new();
            for ((name, _), value) in FIELDS.iter().zip(&values) {
                record.insert(*name, value.clone());
            }
            let record = InboxRecord::read(&record);
            for ((name, _), value) in FIELDS.iter().zip(values) {
                let alone = InboxRecord::read(&doc! { *name: value });
                prop_assert_eq!(found(&record, name), found(&alone, name));
            }
        }
    }
}
