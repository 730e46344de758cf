//! The one decoder of an inbox record: each field is read on its own.
//!
//! [`InboxNames::read`] takes any document, so one bad field spoils neither the
//! other fields nor the other records. A caller that needs a field asks a method,
//! which says what is wrong with it. The functions are pure: a process that dies
//! here has changed nothing.

use mongodb::bson::{Bson, Document};
use onboard_contract::{EventId, TraceParent};
use onboard_mongo::field::{self, Field, Malformed, TEXT, UUID};
use uuid::Uuid;

/// Conflicts that one record notes: about 10 kB, so that nobody can make a
/// record grow without end.
pub const CONFLICTS_MAX: usize = 100;

/// The names under which a consumer has its inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxNames {
    /// The collection.
    pub collection: &'static str,
    /// The field of the aggregate's id.
    pub aggregate: &'static str,
    /// The field of the id of what the effect makes.
    pub reference: &'static str,
    /// The field that notes when that was deleted.
    pub deleted: &'static str,
}

impl InboxNames {
    /// Those of a consumer that has no names of its own.
    pub const PLAIN: Self = Self {
        collection: "processed_events",
        aggregate: "aggregateId",
        reference: "ref",
        deleted: "deletedAt",
    };

    /// Reads a record, or as much of it as the projection has left.
    #[must_use]
    pub fn read(self, record: &Document) -> InboxRecord {
        InboxRecord {
            names: self,
            event_id: field::id(record, "eventId").map(EventId::from),
            aggregate_id: field::id(record, self.aggregate),
            reference: field::id(record, self.reference),
            processed_at: field::time(record, "processedAt"),
            acknowledged_at: field::time(record, "acknowledgedAt"),
            deleted_at: field::time(record, self.deleted),
            traceparent: field::text(record, "traceparent").map(str::to_owned),
            conflicts: field::read(record, "conflicts", |value| {
                Some(value.as_array()?.iter().map(|entry| self.conflict(entry)).collect())
            }),
        }
    }

    /// Reads an entry of the list of conflicts; one that is no document holds nothing
    /// that can be read.
    fn conflict(self, entry: &Bson) -> Conflict {
        let Some(entry) = entry.as_document() else {
            let found = entry.element_type();
            return Conflict {
                aggregate_id: Field::Other(found),
                reference: Field::Other(found),
                at: Field::Other(found),
                deleted_at: Field::Other(found),
            };
        };
        Conflict {
            aggregate_id: field::id(entry, self.aggregate),
            reference: field::id(entry, self.reference),
            at: field::time(entry, "at"),
            deleted_at: field::time(entry, self.deleted),
        }
    }
}

/// An inbox record as it was found. Times are in ms since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRecord {
    /// The names of its fields.
    names: InboxNames,
    /// The event that was applied.
    pub event_id: Field<EventId>,
    /// The aggregate that the event is about.
    pub aggregate_id: Field<Uuid>,
    /// What the effect made.
    pub reference: Field<Uuid>,
    /// When the record was committed.
    pub processed_at: Field<i64>,
    /// When the event was known to be acknowledged.
    pub acknowledged_at: Field<i64>,
    /// When what the effect made was deleted.
    pub deleted_at: Field<i64>,
    /// The trace of the message that made the record, as it is stored.
    pub traceparent: Field<String>,
    /// The other aggregates for which a message with this event id came.
    pub conflicts: Field<Vec<Conflict>>,
}

/// What the record says about a message with its event id and another aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict {
    /// The aggregate of that message.
    pub aggregate_id: Field<Uuid>,
    /// What the effect made for it.
    pub reference: Field<Uuid>,
    /// When the effect was committed.
    pub at: Field<i64>,
    /// When what the effect made was deleted.
    pub deleted_at: Field<i64>,
}

impl InboxRecord {
    /// The event of the record.
    ///
    /// # Errors
    /// It is missing or of another type.
    pub fn event_id(&self) -> Result<EventId, Malformed> {
        self.event_id.required("eventId", UUID)
    }

    /// What the effect made, which is what the record acknowledges.
    ///
    /// # Errors
    /// It is missing or of another type.
    pub fn reference(&self) -> Result<Uuid, Malformed> {
        self.reference.required(self.names.reference, UUID)
    }

    /// What the record acknowledges for this aggregate: what it says for its own, and
    /// for one of the conflicts what the effect `makes` for it; absent when the event
    /// was applied for other aggregates alone.
    ///
    /// # Errors
    /// The record's aggregate or what the effect made is missing or of another type.
    pub fn reference_for(&self, aggregate: Uuid, makes: Uuid) -> Result<Option<Uuid>, Malformed> {
        if self.aggregate_id.required(self.names.aggregate, UUID)? == aggregate {
            return self.reference().map(Some);
        }
        Ok(self.conflict_of(aggregate).map(|_| makes))
    }

    /// What the effect made for this aggregate, and whether its deletion is noted;
    /// absent when the event was applied for other aggregates alone.
    ///
    /// # Errors
    /// What must say so is missing or of another type.
    pub fn made_for(&self, aggregate: Uuid) -> Result<Option<(Uuid, bool)>, Malformed> {
        let is_gone = |deleted_at: Field<i64>| deleted_at.known().is_some();
        if self.aggregate_id.required(self.names.aggregate, UUID)? == aggregate {
            return Ok(Some((self.reference()?, is_gone(self.deleted_at))));
        }
        let Some(conflict) = self.conflict_of(aggregate) else { return Ok(None) };
        let made = conflict.reference.required(self.names.reference, UUID)?;
        Ok(Some((made, is_gone(conflict.deleted_at))))
    }

    /// The conflicts; none when the field holds something else than a list.
    #[must_use]
    pub fn conflicts(&self) -> &[Conflict] {
        self.conflicts.as_ref().known().map_or(&[], Vec::as_slice)
    }

    /// The conflict about this aggregate.
    #[must_use]
    pub fn conflict_of(&self, aggregate: Uuid) -> Option<&Conflict> {
        self.conflicts().iter().find(|conflict| conflict.aggregate_id == Field::Is(aggregate))
    }

    /// All that the effect made by this record, and whether the record notes the
    /// deletion.
    pub fn made(&self) -> impl Iterator<Item = (Uuid, bool)> {
        let own = (self.reference, self.deleted_at);
        let others = self.conflicts().iter().map(|one| (one.reference, one.deleted_at));
        std::iter::once(own)
            .chain(others)
            .filter_map(|(made, deleted)| Some((made.known()?, deleted.known().is_some())))
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

#[cfg(test)]
mod tests {
    use mongodb::bson::spec::ElementType;
    use mongodb::bson::{DateTime, doc};
    use onboard_mongo::bson_time;
    use onboard_mongo::testing::{Takes, any_value, every_type, is_date, is_text, is_uuid, seen};
    use proptest::prelude::*;

    use super::*;

    const NAMES: InboxNames = InboxNames {
        aggregate: "userId",
        reference: "todoId",
        deleted: "todoDeletedAt",
        ..InboxNames::PLAIN
    };

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

    fn acknowledges(record: &InboxRecord) -> Result<(EventId, Uuid), Malformed> {
        Ok((record.event_id()?, record.reference()?))
    }

    /// A field by its name, without its value.
    fn found(record: &InboxRecord, name: &str) -> Field<()> {
        let record = record.clone();
        match name {
            "eventId" => record.event_id.map(drop),
            "userId" => record.aggregate_id.map(drop),
            "todoId" => record.reference.map(drop),
            "processedAt" => record.processed_at.map(drop),
            "acknowledgedAt" => record.acknowledged_at.map(drop),
            "todoDeletedAt" => record.deleted_at.map(drop),
            "traceparent" => record.traceparent.map(drop),
            "conflicts" => record.conflicts.map(drop),
            other => panic!("{other} is no field of a record"),
        }
    }

    #[test]
    fn a_whole_record_is_read() {
        let record = NAMES.read(&whole());
        assert_eq!(record.event_id().unwrap(), Uuid::from_u128(1).into());
        assert_eq!(record.reference().unwrap(), Uuid::from_u128(3));
        assert_eq!(record.aggregate_id, Field::Is(Uuid::from_u128(2)));
        let times = [record.processed_at, record.acknowledged_at, record.deleted_at];
        assert_eq!(times, [4, 5, 6].map(Field::Is));
        assert!(record.traceparent().unwrap().is_some());
        let conflict = Conflict {
            aggregate_id: Field::Is(Uuid::from_u128(7)),
            reference: Field::Is(Uuid::from_u128(8)),
            at: Field::Is(9),
            deleted_at: Field::Unset,
        };
        assert_eq!(record.conflicts(), [conflict]);
    }

    #[test]
    fn each_aggregate_is_acknowledged_what_was_made_for_it() {
        let record = NAMES.read(&whole());
        let makes = Uuid::from_u128(20);
        let made = |of| record.reference_for(Uuid::from_u128(of), makes).unwrap();
        assert_eq!([made(2), made(7), made(10)], [Some(Uuid::from_u128(3)), Some(makes), None]);
        let mut nobodys = whole();
        nobodys.insert("userId", "ada");
        let made = NAMES.read(&nobodys).reference_for(Uuid::from_u128(7), makes);
        assert_eq!(made.unwrap_err().field, "userId");
    }

    #[test]
    fn each_aggregate_is_told_what_was_made_for_it_and_whether_it_is_gone() {
        let mut record = whole();
        let made =
            |record: &Document, of| NAMES.read(record).made_for(Uuid::from_u128(of)).unwrap();
        let id = Uuid::from_u128;
        assert_eq!(
            [2, 7, 10].map(|of| made(&record, of)),
            [Some((id(3), true)), Some((id(8), false)), None]
        );
        record.remove("todoDeletedAt");
        assert_eq!(made(&record, 2), Some((id(3), false)));
        record.insert("todoId", 3);
        let odd = NAMES.read(&record).made_for(id(2));
        assert_eq!(odd.unwrap_err().field, "todoId");
    }

    #[test]
    fn one_bad_conflict_hides_no_other() {
        let mut record = whole();
        let other = doc! {
            "userId": bson_time::id(Uuid::from_u128(11)), "todoId": bson_time::id(Uuid::from_u128(12)),
            "at": "noon", "todoDeletedAt": DateTime::from_millis(13),
        };
        record.insert("conflicts", vec![Bson::Int32(5), Bson::Null, other.into()]);
        let record = NAMES.read(&record);
        assert_eq!(record.conflicts().len(), 3);
        assert_eq!(record.conflicts()[0].aggregate_id, Field::Other(ElementType::Int32));
        let read = record.conflict_of(Uuid::from_u128(11)).unwrap();
        assert_eq!(read.at, Field::Other(ElementType::String));
        let made: Vec<_> = record.made().collect();
        assert_eq!(made, [(Uuid::from_u128(3), true), (Uuid::from_u128(12), true)]);
    }

    #[test]
    fn every_type_in_every_place_is_a_matter_of_that_field_alone() {
        let undamaged = NAMES.read(&whole());
        for (name, takes) in FIELDS {
            for value in every_type() {
                let mut record = whole();
                record.insert(name, value.clone());
                let record = NAMES.read(&record);
                let expected = seen(&value, takes);
                assert_eq!(found(&record, name), expected, "{name}: {value}");
                for (other, _) in FIELDS.iter().filter(|(other, _)| *other != name) {
                    assert_eq!(found(&record, other), found(&undamaged, other), "{other}");
                }
                let needed = ["eventId", "todoId"].contains(&name);
                let told = acknowledges(&record).is_ok();
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
            let record = NAMES.read(&record);
            let unset: Vec<&str> = FIELDS
                .iter()
                .filter(|(name, _)| found(&record, name) == Field::Unset)
                .map(|(name, _)| *name)
                .collect();
            assert_eq!(unset, [name]);
            match acknowledges(&record) {
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
            let record = NAMES.read(&record);
            for ((name, _), value) in FIELDS.iter().zip(values) {
                let alone = NAMES.read(&doc! { *name: value });
                prop_assert_eq!(found(&record, name), found(&alone, name));
            }
        }
    }
}
