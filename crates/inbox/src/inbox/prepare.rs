//! The indexes of an inbox, for a consumer that prepares its own database.
//!
//! Safe to repeat and to run twice at once. A process that dies here has made some
//! of the indexes.

use mongodb::IndexModel;
use mongodb::bson::{Document, doc};
use mongodb::options::IndexOptions;
use onboard_mongo::{StoreError, bounded};

use super::Inbox;

impl Inbox {
    /// Makes the indexes: the unique one over the event ids, without which nothing
    /// here holds, and that of the sweep.
    ///
    /// # Errors
    /// The store failed.
    pub async fn prepare(&self) -> Result<(), StoreError> {
        let unique = IndexOptions::builder().unique(true).build();
        let unnoted = doc! { "acknowledgedAt": null };
        let unnoted = IndexOptions::builder().partial_filter_expression(unnoted).build();
        let index = |keys: Document, options: IndexOptions| {
            IndexModel::builder().keys(keys).options(options).build()
        };
        let indexes =
            [index(doc! { "eventId": 1 }, unique), index(doc! { "processedAt": 1 }, unnoted)];
        let records = self.records();
        let create = records.create_indexes(indexes);
        bounded("make the indexes of the inbox", async { create.await }).await.map(drop)
    }
}
