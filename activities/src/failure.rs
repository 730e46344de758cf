//! How an activity's error looks to Temporal: a type that operators can search
//! for, a message without personal data, and "retry or permanent".

use std::time::Duration;

use onboard_broker::PublishError;
use onboard_contract::names::{FAILURE_ROW_CORRUPT, FAILURE_ROW_MISSING};
use onboard_contract::{EventError, EventId};
use onboard_mongo::StoreError;
use onboard_runtime::availability::chain;
use onboard_runtime::trace;
use temporalio_common::error::ApplicationFailure;
use temporalio_sdk::activities::ActivityError;

/// An activity failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// No read has found the outbox row for so long that it is missing. Permanent.
    #[error("there is no outbox row {0}")]
    RowMissing(EventId),
    /// This try has not found the outbox row.
    #[error("outbox row {event} is not found; it counts as missing after {until:?}")]
    RowAbsent {
        /// The event.
        event: EventId,
        /// How long it is looked for.
        until: Duration,
    },
    /// The outbox row cannot be read. Permanent until somebody repairs it.
    #[error("the outbox row {event} is corrupt; repair it, then start its workflow again")]
    RowCorrupt {
        /// The event.
        event: EventId,
        /// What is wrong with it.
        #[source]
        source: Corrupt,
    },
    /// The store failed. MongoDB's refusals count as passing here: an operator
    /// mends the cause (rights, a validator) and the workflow goes on.
    #[error("the store failed for event {event}")]
    Store {
        /// The event.
        event: EventId,
        /// What the store said.
        #[source]
        source: StoreError,
    },
    /// The store does not say which rows there are.
    #[error("the store does not say which rows there are")]
    Rows(#[source] StoreError),
    /// The broker is unavailable or slow, and this was no time to wait for it.
    #[error("RabbitMQ is unavailable or slow: event {0} is left to an activity of its own")]
    NotPrompt(EventId),
    /// The event is not known to be in the queue.
    #[error("event {event} is not confirmed")]
    Publish {
        /// The event.
        event: EventId,
        /// What the broker said.
        #[source]
        source: PublishError,
    },
}

/// What is wrong with a corrupt row.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Corrupt {
    /// A field cannot be read.
    #[error(transparent)]
    Field(#[from] StoreError),
    /// The message would not be one that the event's consumers read.
    #[error(transparent)]
    Event(#[from] EventError),
}

impl Failure {
    /// Sorts a store error of the event's row.
    pub(crate) fn from_store(event: EventId, source: StoreError) -> Self {
        match source {
            StoreError::Corrupt { .. } => Self::RowCorrupt { event, source: source.into() },
            StoreError::Unavailable { .. }
            | StoreError::TimedOut { .. }
            | StoreError::ClocksDiffer { .. }
            | StoreError::Refused { .. } => Self::Store { event, source },
        }
    }

    /// Whether trying again is of no use.
    pub(crate) const fn is_permanent(&self) -> bool {
        match self {
            Self::RowMissing(_) | Self::RowCorrupt { .. } => true,
            Self::RowAbsent { .. }
            | Self::Store { .. }
            | Self::Rows(_)
            | Self::NotPrompt(_)
            | Self::Publish { .. } => false,
        }
    }

    /// To be called inside the activity's span, which it marks.
    pub(crate) fn into_activity_error(self) -> ActivityError {
        let permanent = self.is_permanent();
        let (type_name, message) = match &self {
            Self::RowMissing(_) | Self::RowAbsent { .. } => (FAILURE_ROW_MISSING, self.to_string()),
            // Without its cause: a decoder's error may quote the field, and no
            // personal data goes into a history.
            Self::RowCorrupt { .. } => (FAILURE_ROW_CORRUPT, self.to_string()),
            Self::Store { .. } | Self::Rows(_) => ("MongoDb", chain(&self)),
            Self::NotPrompt(_) | Self::Publish { .. } => ("RabbitMq", chain(&self)),
        };
        trace::failed(&tracing::Span::current(), type_name);
        let failure = ApplicationFailure::builder(message)
            .type_name(type_name.to_owned())
            .non_retryable(permanent)
            .build();
        ActivityError::application(failure)
    }
}
