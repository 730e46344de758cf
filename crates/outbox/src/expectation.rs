//! What a row expects of one consumer, when that consumer acknowledges.
//!
//! Nothing is written here: a look that is cut off is made anew.

use mongodb::bson::doc;
use mongodb::error::Error;
use onboard_contract::{ConsumerName, EventId, EventType};
use onboard_mongo::bson_time::{self, id};
use onboard_mongo::retention::removed_before;
use onboard_mongo::{StoreError, ask, bounded};

use super::{Outbox, Row};
use crate::{Consumers, OUTBOX};

/// What a row expects of a consumer.
#[derive(Debug, Clone, Copy)]
pub enum Expectation {
    /// The row waits for it; the workflow is that of this event type.
    Awaited(&'static EventType),
    /// The row has its acknowledgement, or is done, or does not expect this
    /// consumer, which others expect; or the row was done and is removed.
    Done,
    /// Nobody knows the consumer.
    NotExpected,
    /// There never was such a row.
    NoRow,
}

impl Outbox {
    /// Looks what the event's row expects of the consumer.
    ///
    /// # Errors
    /// The store failed, or the row is corrupt.
    pub async fn expectation(
        &self,
        event: EventId,
        consumer: &ConsumerName,
    ) -> Result<Expectation, StoreError> {
        const WHAT: &str = "look what the row expects";
        let outbox = self.rows();
        let find = outbox.find_one(doc! { "_id": id(event.uuid()) }).projection(doc! {
            "eventType": 1, "expects": 1, "acknowledgements": 1, "acknowledgedAt": 1, "waived": 1,
        });
        let Some(row) = ask(WHAT, find).await? else {
            if self.is_there(event).await? {
                let source = Error::custom("the row was found by the primary alone".to_owned());
                return Err(StoreError::Unavailable { what: WHAT, source });
            }
            return self.without_row(event).await;
        };
        let row = Row::read(&row);
        let corrupt = |malformed| StoreError::corrupt(WHAT, malformed);
        if !row.expects().map_err(corrupt)?.contains(consumer) {
            // Its queue is bound before rows expect it, and after it is retired.
            let known = Consumers::new(&self.mongo).is_known(consumer).await?;
            return Ok(if known { Expectation::Done } else { Expectation::NotExpected });
        }
        if !row.awaited().map_err(corrupt)?.contains(consumer) {
            return Ok(Expectation::Done);
        }
        let known = row.event_type.as_ref().known().and_then(|name| onboard_events::find(name));
        Ok(known.map_or(Expectation::NotExpected, Expectation::Awaited))
    }

    /// A row is removed only when it is done. Whether it may have been, its
    /// event id tells, which begins with its time of birth.
    async fn without_row(&self, event: EventId) -> Result<Expectation, StoreError> {
        let horizon = removed_before(self.mongo.database(), OUTBOX);
        let horizon_ms = bounded("look how far rows are removed", horizon).await?;
        let born_ms = bson_time::born_ms(event.uuid());
        let removed = horizon_ms.zip(born_ms).is_some_and(|(horizon, born)| born < horizon);
        Ok(if removed { Expectation::Done } else { Expectation::NoRow })
    }
}
