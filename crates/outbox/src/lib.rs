//! The outbox: rows that a service writes in the transaction of what happened, until each
//! event is delivered. Relay and worker serve one outbox; the operators' tools look at it.
//!
//! Each change is one update with its condition in the filter, so it may be
//! repeated, by the same process or another one. `due`, `claim`, `outcome`, `apart` and
//! `unfinished` are the relay's side, `sent` the worker's, `overdue`, `stages` and
//! `retention` look at all of it, `consumers` is the operators' side. `row` reads a row
//! for all of them. Times are those of the server: an update writes `$$NOW`. The crate
//! knows no service, and no event but those of the contract's table.

mod alone;
mod apart;
pub mod claim;
mod collections;
mod config;
mod confirm;
pub mod consumers;
pub mod due;
mod expectation;
mod immovable;
mod json;
mod known;
mod namespace;
mod new;
pub mod outcome;
mod overdue;
pub mod relays;
mod retention;
mod row;
mod sent;
pub mod stages;
mod unfinished;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use mongodb::Collection;
use mongodb::bson::{Bson, DateTime, Document, doc};
use onboard_contract::OutboxStatus;
use onboard_mongo::bson_time::date;
use onboard_mongo::{Mongo, StoreError};
use onboard_runtime::clock::millis;

pub use collections::collections;
pub use config::{OutboxArgs, OutboxConfig, outbox_retention};
pub use consumers::{AwaitedBy, Awaiting, ChangedRow, NotExpecting, Reach};
pub use due::{Due, DuePage};
pub use expectation::Expectation;
pub use known::{Consumers, ExtraConsumersArgs, KnownConsumer};
pub use namespace::note_namespace;
pub use new::NewRow;
pub use outcome::{REFUSALS_MAX, Refusal};
pub use overdue::{Overdue, OverdueRows};
pub use row::{ConsumerAcknowledgement, ConsumerWaiver, Payload, Row};
pub use sent::{MarkedSent, OutboxRow, Record, Recorded};
pub use stages::{InStage, Stages};
pub use unfinished::{AHEAD_MS, Mended, Unfinished};
pub use watch::{Inserted, watch_outbox};

use self::immovable::Immovable;
use self::sent::Together;

/// The note of the rows that are gone, among the horizons of the outbox's database.
pub const OUTBOX: &str = "outbox";
/// The note of the workflows that are gone, beside that of the rows.
pub const WORKFLOWS: &str = "workflows";

/// An outbox in MongoDB.
#[derive(Debug, Clone)]
pub struct Outbox {
    mongo: Mongo,
    collection: Arc<str>,
    together: Arc<Together>,
    immovable: Immovable,
}

impl Outbox {
    /// Prepares a client; MongoDB itself may be away.
    ///
    /// # Errors
    /// The connection string is not usable.
    pub async fn connect(config: &OutboxConfig) -> Result<Self, StoreError> {
        Ok(Self::new(&Mongo::new(&config.mongo).await?, &config.collection))
    }

    /// This collection of a database. Clones of one outbox share their round trips.
    #[must_use]
    pub fn new(mongo: &Mongo, collection: &str) -> Self {
        Self {
            mongo: mongo.clone(),
            collection: collection.into(),
            together: Arc::default(),
            immovable: Immovable::default(),
        }
    }

    /// The database it lies in.
    #[must_use]
    pub const fn mongo(&self) -> &Mongo {
        &self.mongo
    }

    /// The name of its collection.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.collection
    }

    /// Its rows.
    #[must_use]
    pub fn rows(&self) -> Collection<Document> {
        self.mongo.documents(&self.collection)
    }
}

pub(crate) const PENDING: &str = OutboxStatus::Pending.as_str();
const SENT: &str = OutboxStatus::Sent.as_str();

/// This long after the time of the server, in an update.
fn after_now(wait: Duration) -> Document {
    doc! { "$add": ["$$NOW", millis(wait)] }
}

/// The field if it holds a date, else another value; in an update.
fn date_or(field: &str, other: impl Into<Bson>) -> Document {
    let field = format!("${field}");
    doc! { "$cond": [{ "$eq": [{ "$type": field.as_str() }, "date"] }, field, other.into()] }
}

impl Outbox {
    /// The time of the server, in ms since the Unix epoch.
    ///
    /// # Errors
    /// The store failed.
    pub async fn server_ms(&self) -> Result<i64, StoreError> {
        self.mongo.server_ms().await
    }

    /// This long ago, by the server's clock.
    async fn before_now(&self, age: Duration) -> Result<DateTime, StoreError> {
        Ok(date(self.mongo.server_ms().await?.saturating_sub(millis(age))))
    }
}
