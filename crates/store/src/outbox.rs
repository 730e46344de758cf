//! The outbox rows, as the relay and the worker use them.
//!
//! Each change is one update with its condition in the filter, so it may be
//! repeated, by the same process or another one. `claim` and `outcome` are the
//! relay's side, `sent` the worker's, `overdue`, `stages` and `retention` look at
//! all of it, `consumers` is the operators' side. `row` reads a row for all of them.

mod alone;
pub mod claim;
pub mod consumers;
mod expectation;
mod json;
mod known;
mod new;
pub mod outcome;
mod overdue;
mod retention;
mod row;
mod sent;
pub mod stages;

use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::DateTime;
use onboard_contract::OutboxStatus;
use onboard_runtime::clock;

use crate::bson_time::date;
use crate::mongo::Mongo;

pub use claim::{Due, DuePage, Written};
pub use consumers::{AwaitedBy, Awaiting, ChangedRow, NotExpecting, Reach};
pub use expectation::Expectation;
pub use new::NewRow;
pub use outcome::{REFUSALS_MAX, Refusal};
pub use overdue::{Overdue, OverdueRows};
pub use row::{ConsumerAcknowledgement, ConsumerWaiver, Payload, Row};
pub use sent::{MarkedSent, OutboxRow, Record, Recorded};
pub use stages::{InStage, Stages};

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

fn later(wait: Duration) -> DateTime {
    let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    date(clock::now_ms().saturating_add(wait_ms))
}

/// This long ago.
#[must_use]
pub fn earlier(age: Duration) -> DateTime {
    let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    date(clock::now_ms().saturating_sub(age_ms))
}
