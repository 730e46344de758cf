//! Which events have a row. Nothing is written here: a look that is cut off is made
//! anew.

use std::collections::HashSet;

use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use onboard_contract::EventId;

use super::{Outbox, Row};
use crate::StoreError;
use crate::bson_time::id;
use crate::mongo::bounded;

impl Outbox {
    /// Those of these events that have a row, by one look for all of them.
    ///
    /// # Errors
    /// The store failed.
    pub async fn known(&self, events: &[EventId]) -> Result<HashSet<EventId>, StoreError> {
        if events.is_empty() {
            return Ok(HashSet::new());
        }
        let outbox = self.mongo.outbox();
        let ids: Vec<Bson> = events.iter().map(|event| id(event.uuid())).collect();
        let find = outbox.find(doc! { "_id": { "$in": ids } }).projection(doc! { "_id": 1 });
        let rows: Vec<Document> =
            bounded("look which events have a row", async { find.await?.try_collect().await })
                .await?;
        Ok(rows.iter().filter_map(|row| Row::read(row).id.known()).collect())
    }
}
