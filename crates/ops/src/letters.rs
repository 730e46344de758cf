//! A look at the dead letters: what is there and why. All of them are back,
//! in their order, when the look is over.

use std::collections::BTreeMap;

use onboard_broker::{BrokerConfig, DeadLetter, DeadLetters, DeadLettersError};
use onboard_contract::Queue;
use onboard_events::ExtraConsumers;
use onboard_mongo::StoreError;
use onboard_outbox::Consumers;
use serde::Serialize;

use crate::Databases;

/// Letters looked at; of more only the number is known.
const LOOKED_AT_MAX: u32 = 10_000;

/// The dead letters in figures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LetterSummary {
    /// How many wait.
    pub total: u32,
    /// How many of them were looked at.
    pub looked_at: u32,
    /// Those by reason.
    pub by_reason: BTreeMap<String, u32>,
}

/// The queues of every consumer that is known, the todo service's first, and that of
/// the acknowledgements.
pub(crate) async fn queues(mongo: &Databases) -> Result<Vec<Queue>, StoreError> {
    let known = Consumers::new(mongo.of_auth()).known().await?;
    let here = known.into_iter().filter(|one| one.retired_at_ms.is_none());
    let extra = ExtraConsumers::of(here.map(|one| one.name));
    Ok(onboard_events::topology(&extra).queues)
}

/// Counts the letters of a queue by reason and shows each to `each`.
pub(crate) async fn look(
    config: &BrokerConfig,
    queue: Queue,
    mut each: impl FnMut(&DeadLetter),
) -> Result<LetterSummary, DeadLettersError> {
    let name = "onboard: look at dead letters";
    let letters = DeadLetters::open(config, queue, name, onboard_events::ids).await?;
    let counted = async {
        let total = letters.count().await?;
        let mut summary = LetterSummary { total, ..LetterSummary::default() };
        while summary.looked_at < total.min(LOOKED_AT_MAX) {
            let Some(letter) = letters.next().await? else { break };
            summary.looked_at += 1;
            *summary.by_reason.entry(letter.reason.clone()).or_default() += 1;
            each(&letter);
        }
        Ok(summary)
    };
    let counted = counted.await;
    letters.close().await;
    counted
}
