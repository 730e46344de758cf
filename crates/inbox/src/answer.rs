//! Answers, on the consumer's task queue in Temporal, whether the consumer has
//! processed an event.
//!
//! A workflow asks when an acknowledgement is overdue. The answer looks at the effect,
//! not at the record alone: what the record names must be there, or its deletion be
//! noted. While the consumer is down the question waits in Temporal. Nothing is written,
//! so a process that dies here has changed nothing, and Temporal asks again.

use onboard_contract::{Acknowledged, ConsumerName, Question};
use onboard_mongo::StoreError;

use crate::inbox::LOOK;
use crate::{Effect, Inbox};

/// What a consumer needs to answer.
#[derive(Debug, Clone)]
pub struct Answers<F> {
    /// The consumer, whose task queue has its name.
    pub consumer: ConsumerName,
    /// Where its records are.
    pub inbox: Inbox,
    /// What it makes of an event.
    pub effect: F,
}

impl<F: Effect> Answers<F> {
    /// What the consumer acknowledges for the event; absent when it has not processed
    /// the event, or what it made is gone.
    pub(crate) async fn find(
        &self,
        question: &Question,
    ) -> Result<Option<Acknowledged>, StoreError> {
        let Question { event_id, aggregate_id, .. } = *question;
        let Some(record) = self.inbox.find(event_id).await? else { return Ok(None) };
        let made = record.made_for(aggregate_id);
        let made = made.map_err(|malformed| StoreError::corrupt(LOOK, malformed))?;
        let Some((made, deleted)) = made else { return Ok(None) };
        let there = deleted || self.effect.is_there(aggregate_id, made).await?;
        let reference = Some(made.to_string());
        let consumer = self.consumer.clone();
        Ok(there.then_some(Acknowledged { event_id, consumer, reference }))
    }
}
