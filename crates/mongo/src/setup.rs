//! Prepares MongoDB: the replica set, and of any list of collections their validators
//! and indexes.
//!
//! Safe to repeat and to run twice at once: every step is idempotent or takes
//! "already there" for success.

mod collections;
mod lists;
mod replica_set;

use mongodb::error::Error;
use onboard_runtime::Plain;

pub use collections::{Definition, Index, lacking, prepare_collections, step, uuid};
pub use lists::{Holder, Spoiled, rebuild_spoiled, spoiled};
pub use replica_set::{hello, prepare_replica_sets};

/// MongoDB could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The server refused a step.
    #[error("MongoDB did not {what}")]
    Step {
        /// The step, as a verb.
        what: &'static str,
        /// The driver's error.
        #[source]
        source: Error,
    },
    /// The server runs without a replica set.
    #[error(
        "MongoDB runs without a replica set, and transactions need one: start mongod with \
         --replSet rs0 and add replicaSet=rs0 to MONGODB_URI"
    )]
    NoReplicaSet,
    /// No member became primary.
    #[error("no member of the replica set became primary within {0} s")]
    NoPrimary(u64),
    /// A step got no answer.
    #[error("MongoDB did not {0} in time")]
    TimedOut(&'static str),
    /// The client could not be made.
    #[error("MongoDB cannot be used")]
    Store(#[source] crate::StoreError),
}

impl Plain for SetupError {
    fn words(&self) -> String {
        match self {
            Self::Step { source, .. } => crate::words(&self.to_string(), source),
            Self::Store(error) => error.words(),
            Self::NoReplicaSet | Self::NoPrimary(_) | Self::TimedOut(_) => self.to_string(),
        }
    }

    fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Step { source, .. } => crate::remedy(source),
            Self::Store(error) => error.remedy(),
            Self::NoReplicaSet | Self::NoPrimary(_) | Self::TimedOut(_) => None,
        }
    }
}
