//! Why there is no verdict.

use onboard_broker::DeadLettersError;
use onboard_mongo::StoreError;
use onboard_runtime::Plain;
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

impl Plain for AuditError {
    fn words(&self) -> String {
        match self {
            Self::Store(error) => error.words(),
            Self::Mongo { source, .. } => onboard_mongo::words(&self.to_string(), source),
            Self::Temporal { source, .. } => format!("{self}: {}", source.message()),
            Self::RabbitMq(error) => error.words(),
            Self::TimedOut { .. } => self.to_string(),
        }
    }

    fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Store(error) => error.remedy(),
            Self::Mongo { source, .. } => onboard_mongo::remedy(source),
            Self::RabbitMq(error) => error.remedy(),
            Self::TimedOut { .. } => Some("see whether it runs: `onboard doctor`"),
            Self::Temporal { .. } => None,
        }
    }
}
