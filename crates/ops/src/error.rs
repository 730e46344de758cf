//! Why an operator's tool cannot do its work. A registration that is not as it should
//! be is no error: the tool answers with it.

use std::time::Duration;

use onboard_broker::DeadLettersError;
use onboard_mongo::{Read, StoreError};
use onboard_runtime::Plain;
use onboard_temporal::TemporalError;

/// How long one operation on MongoDB may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// A server could not be asked, or refused.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// MongoDB cannot be used.
    #[error("MongoDB cannot be used")]
    Store(#[source] StoreError),
    /// MongoDB failed an operation.
    #[error("MongoDB could not {what}")]
    Mongo {
        /// The operation, as a verb.
        what: &'static str,
        /// The driver's error.
        #[source]
        source: mongodb::error::Error,
    },
    /// MongoDB gave no answer.
    #[error("MongoDB did not {what} within {} s", DEADLINE.as_secs())]
    MongoTimedOut {
        /// The operation, as a verb.
        what: &'static str,
    },
    /// Temporal failed a call.
    #[error("Temporal cannot be used")]
    Temporal(#[source] TemporalError),
    /// RabbitMQ failed a call.
    #[error("RabbitMQ cannot be used")]
    Broker(#[source] DeadLettersError),
    /// Temporal could not be reached at all.
    #[error("Temporal cannot be reached ({0})")]
    NoTemporal(String),
}

impl Plain for OperatorError {
    fn words(&self) -> String {
        match self {
            Self::Store(error) => error.words(),
            Self::Mongo { source, .. } => onboard_mongo::words(&self.to_string(), source),
            Self::Temporal(error) => error.words(),
            Self::Broker(error) => error.words(),
            Self::NoTemporal(words) => words.clone(),
            Self::MongoTimedOut { .. } => self.to_string(),
        }
    }

    fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Store(error) => error.remedy(),
            Self::Mongo { source, .. } => onboard_mongo::remedy(source),
            Self::Temporal(error) => error.remedy(),
            Self::Broker(error) => error.remedy(),
            Self::NoTemporal(_) | Self::MongoTimedOut { .. } => None,
        }
    }
}

/// Asks under a deadline, at the server, too.
pub(crate) async fn ask<R: Read>(what: &'static str, read: R) -> Result<R::Found, OperatorError> {
    bounded(what, async { read.read(DEADLINE).await }).await
}

/// Runs a driver call under a deadline.
pub(crate) async fn bounded<T>(
    what: &'static str,
    operation: impl IntoFuture<Output = mongodb::error::Result<T>>,
) -> Result<T, OperatorError> {
    match tokio::time::timeout(DEADLINE, operation.into_future()).await {
        Ok(answer) => answer.map_err(|source| OperatorError::Mongo { what, source }),
        Err(_) => Err(OperatorError::MongoTimedOut { what }),
    }
}
