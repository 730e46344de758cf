//! The record of what operators do: written before the act, completed after.
//! An act whose record was never completed may or may not have been done.

use mongodb::Collection;
use mongodb::bson::{Bson, DateTime, Document, doc};
use onboard_contract::EventId;
use onboard_fault::{Step, step};
use onboard_runtime::clock;
use uuid::Uuid;

use super::act::Work;
use super::{Act, REDRIVES, Run};
use crate::OperatorError;
use crate::error::bounded;
use crate::operator::id;

impl Run<'_> {
    /// Writes down what is about to be done; its id.
    pub(crate) async fn record(
        &self,
        work: &Work<'_>,
        act: Act,
        cause: &str,
    ) -> Result<Uuid, OperatorError> {
        let record = clock::ordered_id();
        let letter = work.letter.map(|(_, letter)| letter);
        let bytes = letter.map(|letter| i64::try_from(letter.body.len()).unwrap_or(i64::MAX));
        let document = doc! {
            "_id": id(record),
            "runId": id(self.id),
            "eventId": work.event.map_or(Bson::Null, |event: EventId| id(event.uuid())),
            "messageId": letter.and_then(|letter| letter.message_id.clone()),
            "bodyBytes": bytes,
            "act": act.as_str(),
            "cause": cause,
            "actor": &self.order.actor,
            "reason": &self.order.reason,
            "at": DateTime::from_millis(clock::now_ms()),
            "doneAt": null,
        };
        let redrives = self.redrives();
        let write = bounded("record the redrive", redrives.insert_one(document));
        step(Step("redrive.record"), write).await?;
        Ok(record)
    }

    /// Notes that it is done.
    pub(crate) async fn complete(&self, record: Uuid) -> Result<(), OperatorError> {
        let done = doc! { "$set": { "doneAt": DateTime::from_millis(clock::now_ms()) } };
        self.amend(record, done).await
    }

    /// Notes that it was not done, since the case had changed meanwhile.
    pub(crate) async fn overtaken(&self, record: Uuid) -> Result<(), OperatorError> {
        self.amend(record, doc! { "$set": { "overtaken": true } }).await
    }

    /// Adds to a record.
    pub(crate) async fn amend(&self, record: Uuid, change: Document) -> Result<(), OperatorError> {
        let redrives = self.redrives();
        let write = redrives.update_one(doc! { "_id": id(record) }, change);
        let write = bounded("complete the record of the redrive", write);
        step(Step("redrive.record"), write).await.map(drop)
    }

    fn redrives(&self) -> Collection<Document> {
        self.operator.mongo.auth().collection(REDRIVES)
    }
}
