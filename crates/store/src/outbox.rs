//! The outbox rows, as the relay and the worker use them.
//!
//! Each change is one update with its condition in the filter, so it may be
//! repeated, by the same process or another one. `due`, `claim`, `outcome`, `apart` and
//! `unfinished` are the relay's side, `sent` the worker's, `overdue`, `stages` and
//! `retention` look at all of it, `consumers` is the operators' side. `row` reads a row
//! for all of them. Times are those of the server: an update writes `$$NOW`.

mod alone;
mod apart;
pub mod claim;
mod confirm;
pub mod consumers;
pub mod due;
mod expectation;
mod json;
mod new;
pub mod outcome;
mod overdue;
mod retention;
mod row;
mod sent;
pub mod stages;
mod unfinished;

use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::{Bson, DateTime, Document, doc};
use onboard_contract::OutboxStatus;
use onboard_runtime::clock::{self, millis};

use crate::StoreError;
use crate::bson_time::date;
use crate::mongo::Mongo;

pub use claim::Written;
pub use consumers::{AwaitedBy, Awaiting, ChangedRow, NotExpecting, Reach};
pub use due::{Due, DuePage};
pub use expectation::Expectation;
pub use new::NewRow;
pub use outcome::{REFUSALS_MAX, Refusal};
pub use overdue::{Overdue, OverdueRows};
pub use row::{ConsumerAcknowledgement, ConsumerWaiver, Payload, Row};
pub use sent::{MarkedSent, OutboxRow, Record, Recorded};
pub use stages::{InStage, Stages};
pub use unfinished::{AHEAD_MS, Mended, Unfinished};

use self::sent::Together;

/// The outbox in MongoDB.
#[derive(Debug, Clone)]
pub struct Outbox {
    mongo: Mongo,
    together: Arc<Together>,
}

impl Outbox {
    /// Over a client. Clones of one outbox share their round trips.
    #[must_use]
    pub fn new(mongo: &Mongo) -> Self {
        Self { mongo: mongo.clone(), together: Arc::default() }
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

/// This long ago, by the clock of this process.
#[must_use]
pub fn earlier(age: Duration) -> DateTime {
    date(clock::now_ms().saturating_sub(millis(age)))
}
