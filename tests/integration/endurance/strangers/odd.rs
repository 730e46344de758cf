//! Values and documents that no part of this system writes.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, Regex, Timestamp, doc};
use uuid::Uuid;

use crate::harness::Random;

/// 2099-01-01.
const FAR_AHEAD_MS: i64 = 4_070_908_800_000;

impl Random {
    pub(super) fn uuid(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.next(), self.next())
    }

    /// A value of any type.
    pub(super) fn value(&mut self) -> Bson {
        match self.below(20) {
            0 => Bson::Null,
            1 => Bson::String(String::new()),
            2 => Bson::String(self.uuid().to_string()),
            3 => Bson::String("x".repeat(100_000)),
            4 => Bson::Int32(-1),
            5 => Bson::Int64(i64::MAX),
            6 => Bson::Double(f64::NAN),
            7 => Bson::Double(1e300),
            8 => Bson::Boolean(true),
            9 => Bson::DateTime(DateTime::from_millis(i64::MIN)),
            10 => Bson::DateTime(DateTime::from_millis(FAR_AHEAD_MS)),
            11 => Bson::DateTime(DateTime::from_millis(i64::MAX)),
            12 => Bson::ObjectId(ObjectId::new()),
            13 => self.binary(BinarySubtype::UuidOld, 16),
            14 => self.binary(BinarySubtype::Generic, 16),
            15 => self.binary(BinarySubtype::Uuid, 16),
            16 => Bson::Array(vec![Bson::Int32(1), Bson::Null]),
            17 => Bson::Document(doc! { "$oid": 1, "a.b": { "c": [] } }),
            18 => Bson::Timestamp(Timestamp { time: 1, increment: 1 }),
            _ => Bson::RegularExpression(Regex {
                pattern: ".*".try_into().unwrap(),
                options: String::new().try_into().unwrap(),
            }),
        }
    }

    /// An id that is no UUID, and the texts of which one must name it.
    pub(super) fn id(&mut self) -> (Bson, Vec<String>) {
        let uuid = self.uuid();
        match self.below(5) {
            0 => (Bson::String(format!("row {uuid}")), vec![uuid.to_string()]),
            1 => {
                let number = i64::try_from(self.next() >> 1).unwrap();
                (Bson::Int64(number), vec![number.to_string()])
            }
            2 => {
                let id = ObjectId::new();
                (Bson::ObjectId(id), vec![id.to_hex()])
            }
            3 => (Bson::Document(doc! { "odd": uuid.to_string() }), vec![uuid.to_string()]),
            _ => {
                let (subtype, bytes) = (BinarySubtype::UuidOld, uuid.as_bytes().to_vec());
                (Bson::Binary(Binary { subtype, bytes }), names_of(uuid))
            }
        }
    }

    /// Changes one to three fields: without it, of any type, or one more.
    pub(super) fn spoil(&mut self, document: &mut Document, but: &[&str]) -> Vec<String> {
        let names: Vec<String> =
            document.keys().filter(|name| !but.contains(&name.as_str())).cloned().collect();
        (0..=self.below(3))
            .map(|_| {
                let name = names[self.below(names.len())].clone();
                match self.below(6) {
                    0 => {
                        document.remove(&name);
                        format!("without {name}")
                    }
                    1 => {
                        document.insert(format!("more{}", self.below(100)), self.value());
                        "with one more field".to_owned()
                    }
                    _ => {
                        let value = self.value();
                        let kind = format!("{name} is {:?}", value.element_type());
                        document.insert(name, value);
                        kind
                    }
                }
            })
            .collect()
    }

    fn binary(&mut self, subtype: BinarySubtype, bytes: usize) -> Bson {
        let bytes = (0..bytes).map(|_| self.next().to_le_bytes()[0]).collect();
        Bson::Binary(Binary { subtype, bytes })
    }
}

/// The ways in which sixteen bytes are written.
pub(super) fn names_of(uuid: Uuid) -> Vec<String> {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD.encode(uuid.as_bytes());
    vec![uuid.to_string(), uuid.simple().to_string(), base64]
}
