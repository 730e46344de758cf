//! The collection of an inbox.
//!
//! A field that is not listed may be there: one version of the program writes
//! fields that another one does not know. These are pure functions: a process
//! that dies here has changed nothing.

use mongodb::bson::{Document, doc};
use onboard_mongo::setup::{Definition, Index, uuid};

use crate::{CONFLICTS_MAX, InboxNames};

impl InboxNames {
    /// The collection of an inbox under these names.
    #[must_use]
    pub fn definition(self) -> Definition {
        let unnoted = doc! { "acknowledgedAt": null };
        let reference_of_conflict = format!("conflicts.{}", self.reference);
        Definition {
            name: self.collection.to_owned(),
            schema: self.schema(),
            indexes: vec![
                Index::unique(doc! { "eventId": 1 }),
                Index::partial(doc! { "processedAt": 1 }, unnoted),
                Index::plain(doc! { self.reference: 1 }),
                Index::of_lists(doc! { reference_of_conflict: 1 }),
            ],
        }
    }

    fn schema(self) -> Document {
        doc! {
            "bsonType": "object",
            "required": ["eventId", self.aggregate, self.reference, "processedAt"],
            "properties": {
                "eventId": uuid(),
                self.aggregate: uuid(),
                self.reference: uuid(),
                "processedAt": { "bsonType": "date" },
                "acknowledgedAt": { "bsonType": ["date", "null"] },
                self.deleted: { "bsonType": "date" },
                "traceparent": { "bsonType": ["string", "null"] },
                "conflicts": {
                    "bsonType": "array",
                    "maxItems": i64::try_from(CONFLICTS_MAX).unwrap_or(i64::MAX),
                    "items": {
                        "bsonType": "object",
                        "required": [self.aggregate, self.reference, "at"],
                        "properties": {
                            self.aggregate: uuid(),
                            self.reference: uuid(),
                            "at": { "bsonType": "date" },
                            self.deleted: { "bsonType": "date" },
                        },
                    },
                },
            },
        }
    }
}
