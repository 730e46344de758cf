//! Why there is no verdict.

use onboard_broker::DeadLettersError;
use onboard_mongo::StoreError;
use temporalio_client::tonic::Status;

/// The audit could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// `MongoDB` cannot be used at all.
    #[error("MongoDB cannot be used")]
    Store(#[source] StoreError),
    /// `MongoDB` is away or refuses a read.
    #[error("MongoDB could not {what}")]
    Mongo {
        /// The read, as a verb.
        what: &'static str,
        /// The driver's error.
        #[source]
        source: mongodb::error::Error,
    },
    /// A server has not answered in time.
    #[error("{server} did not {what} in time")]
    TimedOut {
        /// Which.
        server: &'static str,
        /// The read, as a verb.
        what: &'static str,
    },
    /// Temporal is away or refuses a read.
    #[error("Temporal could not {what}")]
    Temporal {
        /// The read, as a verb.
        what: &'static str,
        /// The server's answer.
        #[source]
        source: Box<Status>,
    },
    /// `RabbitMQ` is away or refuses.
    #[error("RabbitMQ could not be read")]
    RabbitMq(#[source] DeadLettersError),
}
