//! The journal of what is changed for a consumer: one entry per page of rows, in
//! the collection of the redrives, with the events of the page.
//!
//! An entry is written before its page is changed and completed after its
//! workflows were told. An entry that was never completed names the events of
//! which that is not known.

use std::time::Duration;

use mongodb::Collection;
use mongodb::bson::{Bson, DateTime, Document, doc};
use onboard_contract::EventId;
use onboard_fault::{Step, step};
use onboard_mongo::field;
use onboard_runtime::clock::{self, millis};
use uuid::Uuid;

use super::Change;
use crate::error::{ask, bounded};
use crate::operator::id;
use crate::redrive::REDRIVES;
use crate::{Operator, OperatorError};

/// So long ago an entry may have been written whose workflows are told again.
const LATELY: Duration = Duration::from_hours(24);

/// The journal of one run of a command.
pub(super) struct Journal<'a> {
    operator: &'a Operator,
    change: &'a Change,
    act: &'static str,
    run: Uuid,
}

/// A page that was changed by an earlier run.
pub(super) struct Entry {
    pub(super) id: Uuid,
    pub(super) events: Vec<EventId>,
}

impl<'a> Journal<'a> {
    pub(super) fn new(operator: &'a Operator, change: &'a Change, act: &'static str) -> Self {
        Self { operator, change, act, run: clock::ordered_id() }
    }

    /// Names this run in the entries.
    pub(super) const fn run(&self) -> Uuid {
        self.run
    }

    /// Writes down which rows are about to be changed; the entry's id.
    pub(super) async fn record(&self, events: &[EventId]) -> Result<Uuid, OperatorError> {
        let entry = clock::ordered_id();
        let ids: Vec<Bson> = events.iter().map(|event| id(event.uuid())).collect();
        let document = doc! {
            "_id": id(entry),
            "runId": id(self.run),
            "eventId": null,
            "events": ids,
            "act": self.act,
            "consumer": self.change.consumer.as_str(),
            "actor": &self.change.actor,
            "reason": &self.change.reason,
            "at": DateTime::from_millis(clock::now_ms()),
            "doneAt": null,
        };
        let entries = self.entries();
        let write = bounded("record the change of rows", entries.insert_one(document));
        step(Step("redrive.record"), write).await?;
        Ok(entry)
    }

    /// Notes that the page is changed and its workflows were told.
    pub(super) async fn complete(&self, entry: Uuid) -> Result<(), OperatorError> {
        let entries = self.entries();
        let done = doc! { "$set": { "doneAt": DateTime::from_millis(clock::now_ms()) } };
        let write = entries.update_one(doc! { "_id": id(entry), "doneAt": null }, done);
        let write = bounded("complete the record of the change", write);
        step(Step("redrive.record"), write).await.map(drop)
    }

    /// The pages of earlier runs that were cut off, or changed lately.
    pub(super) async fn earlier(&self) -> Result<Vec<Entry>, OperatorError> {
        const WHAT: &str = "read what earlier runs have changed";
        let lately = DateTime::from_millis(clock::now_ms().saturating_sub(millis(LATELY)));
        let entries = self.entries();
        let find = entries
            .find(doc! {
                "act": self.act,
                "consumer": self.change.consumer.as_str(),
                "$or": [{ "doneAt": null }, { "at": { "$gte": lately } }],
            })
            .sort(doc! { "_id": 1 });
        let found: Vec<Document> = ask(WHAT, find).await?;
        Ok(found.iter().filter_map(Entry::read).collect())
    }

    fn entries(&self) -> Collection<Document> {
        self.operator.mongo.auth().collection(REDRIVES)
    }
}

impl Entry {
    fn read(entry: &Document) -> Option<Self> {
        let events = field::list(entry, "events", field::as_uuid).known().unwrap_or_default();
        let events = events.into_iter().map(EventId::from).collect();
        Some(Self { id: field::id(entry, "_id").known()?, events })
    }
}
