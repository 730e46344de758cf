//! Whether a row is really absent.
//!
//! A majority read on a node that is no longer the primary, or has just become it,
//! may miss what was committed elsewhere. A linearizable read asks the primary, which
//! first makes sure that it still is the primary. Nothing is written here: a look that
//! is cut off is made anew.

use mongodb::bson::{Bson, doc};
use onboard_contract::EventId;
use onboard_mongo::bson_time::id;
use onboard_mongo::{StoreError, bounded};

use super::Outbox;

/// The server gives up before the deadline of an operation: a primary that has lost
/// the majority would wait without end.
const ANSWER_MS: i64 = 4_000;

impl Outbox {
    /// Whether the primary has the row, by a linearizable read. To be asked when a
    /// majority read has found no row.
    ///
    /// # Errors
    /// The store failed, or no majority has confirmed the primary in time.
    pub async fn is_there(&self, event: EventId) -> Result<bool, StoreError> {
        let find = self.mongo.database().run_command(doc! {
            "find": self.name(),
            "filter": { "_id": id(event.uuid()) },
            "projection": { "_id": 1 },
            "limit": 1,
            "singleBatch": true,
            "readConcern": { "level": "linearizable" },
            "maxTimeMS": ANSWER_MS,
        });
        let answer = bounded("confirm that there is no such row", async { find.await }).await?;
        let rows = answer.get_document("cursor").ok().and_then(|cursor| cursor.get("firstBatch"));
        Ok(rows.and_then(Bson::as_array).is_some_and(|rows| !rows.is_empty()))
    }
}
