//! `onboard consumers`: who consumes the events, how far each of them is, and
//! rows that are made to expect one more consumer, or one less.
//!
//! An act changes rows page by page. Each page is recorded in the journal before
//! it is changed and completed in the journal after its workflows were told. A
//! process that dies here leaves a page that the relay's rebuild (`backfill`) or
//! the same command (`retire`) finishes.

mod backfill;
mod journal;
mod list;
mod retire;
pub(crate) mod state;

use onboard_contract::ConsumerName;
use onboard_events::user_registered::USER_REGISTERED;
use onboard_outbox::{Consumers, KnownConsumer};

pub use self::backfill::Backfilled;
pub use self::list::Standing;
pub use self::retire::Retired;
pub use self::state::ConsumerState;
use crate::{Operator, OperatorError};

/// Workflows told, or started, at the same time.
const CONCURRENCY: usize = 8;

/// What is to be changed, by whom and why.
#[derive(Debug, Clone)]
pub struct Change {
    /// The consumer.
    pub consumer: ConsumerName,
    /// Why. Kept in MongoDB only.
    pub reason: String,
    /// Who. Kept in MongoDB only.
    pub actor: String,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
}

/// Why a change is not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Setup has not noted the consumer.
    #[error(
        "nobody has noted the consumer {0}: add {0}:{USER_REGISTERED} to EXTRA_CONSUMERS and run \
         `onboard setup`"
    )]
    Unknown(ConsumerName),
    /// The consumer is retired.
    #[error(
        "the consumer {0} is retired: to have it back, add {0}:{USER_REGISTERED} to \
         EXTRA_CONSUMERS and run `onboard setup`"
    )]
    Retired(ConsumerName),
    /// The consumer is one of this program.
    #[error("the consumer {0} is part of this program: every event waits for it")]
    BuiltIn(ConsumerName),
}

impl Operator {
    /// The virtual host of the queues.
    #[must_use]
    pub fn vhost(&self) -> &str {
        self.broker.vhost()
    }

    /// The consumers beside those of this program.
    pub(crate) async fn known_consumers(&self) -> Result<Vec<KnownConsumer>, OperatorError> {
        Consumers::new(self.mongo.of_auth()).known().await.map_err(OperatorError::Store)
    }

    /// Those of them that are not retired.
    pub(crate) async fn extra_consumers(&self) -> Result<Vec<ConsumerName>, OperatorError> {
        let known = self.known_consumers().await?;
        let here = known.into_iter().filter(|one| one.retired_at_ms.is_none());
        Ok(here.map(|one| one.name).collect())
    }
}
