//! The dead letters, queue by queue, in the order of each: those of the todo
//! service, then those of every other consumer and of the acknowledgements.
//!
//! A run works on the letters that were there when it began: what becomes a
//! dead letter meanwhile stands behind them. Those of one user are worked on
//! one after the other, those of different users side by side. A letter
//! that is not chosen, or cannot be redriven, is back in its place when the run ends.

use futures::StreamExt;
use onboard_broker::{DeadLetter, DeadLetters};
use onboard_contract::{Queue, UserId};
use onboard_events::TODO_QUEUE;
use onboard_runtime::clock;
use onboard_runtime::clock::millis;

use super::act::Work;
use super::tally::Tally;
use super::{Item, Outcome, Run};
use crate::OperatorError;
use crate::letters::queues;

/// Letters read at once.
const CHUNK: usize = 64;
/// Users worked on at the same time.
const CONCURRENCY: usize = 8;

/// Letters of one user, in their order.
type Lane = Vec<DeadLetter>;

/// What a lane came to, as far as it came.
struct Worked {
    items: Vec<(Option<onboard_contract::EventId>, Item)>,
    error: Option<OperatorError>,
}

impl Run<'_> {
    pub(crate) async fn work_off_letters(
        &self,
        tally: &mut Tally<'_>,
    ) -> Result<(), OperatorError> {
        let queues = queues(&self.operator.mongo).await.map_err(OperatorError::Store)?;
        for queue in queues {
            let of_todo = queue == TODO_QUEUE;
            match self.work_off_queue(queue, tally).await {
                // No letter waits where there is no queue; `consumers list` and
                // `doctor` say that it is missing.
                Err(OperatorError::Broker(error)) if error.is_missing() && !of_todo => (),
                worked => worked?,
            }
        }
        Ok(())
    }

    async fn work_off_queue(
        &self,
        queue: Queue,
        tally: &mut Tally<'_>,
    ) -> Result<(), OperatorError> {
        let (broker, name) = (&self.operator.broker, "onboard redrive");
        let letters = DeadLetters::open(broker, queue, name, onboard_events::ids).await;
        let letters = letters.map_err(OperatorError::Broker)?;
        let worked = self.work_off(&letters, tally).await;
        letters.close().await;
        worked
    }

    async fn work_off(
        &self,
        letters: &DeadLetters,
        tally: &mut Tally<'_>,
    ) -> Result<(), OperatorError> {
        let total = letters.count().await.map_err(OperatorError::Broker)?;
        tally.letters(total);
        let (mut taken, mut removed) = (0, 0);
        while taken < total && tally.room() > 0 {
            let mut chosen = Vec::new();
            while taken < total && chosen.len() < CHUNK.min(tally.room()) {
                let next = letters.next().await.map_err(OperatorError::Broker)?;
                let Some(letter) = next else { break };
                taken += 1;
                tally.looked();
                if self.chooses(&letter, tally) {
                    chosen.push(letter);
                }
            }
            if chosen.is_empty() {
                break;
            }
            let lanes = lanes(chosen).into_iter().map(|lane| self.work_off_lane(letters, lane));
            let mut lanes = futures::stream::iter(lanes).buffer_unordered(CONCURRENCY);
            let mut failed = None;
            while let Some(Worked { items, error }) = lanes.next().await {
                for (event, item) in items {
                    removed += u32::from(matches!(item.outcome, Outcome::Done(_)));
                    tally.note(event, &item);
                }
                failed = failed.or(error);
            }
            if let Some(error) = failed {
                return Err(error);
            }
        }
        let waiting = letters.count().await.map_err(OperatorError::Broker)?;
        tally.letters_left(waiting + taken - removed);
        Ok(())
    }

    async fn work_off_lane(&self, letters: &DeadLetters, lane: Lane) -> Worked {
        let mut worked = Worked { items: Vec::new(), error: None };
        for letter in &lane {
            let event = letter.event_id;
            let work = Work { event, letter: Some((letters, letter)), only_ended: false };
            // A letter of another consumer says nothing about the registration.
            let answered = event.filter(|_| *letter.queue() == TODO_QUEUE);
            match self.redrive_one(work).await {
                Ok(item) => worked.items.extend(item.map(|item| (answered, item))),
                Err(error) => {
                    worked.error = Some(error);
                    break;
                }
            }
        }
        worked
    }

    fn chooses(&self, letter: &DeadLetter, tally: &mut Tally<'_>) -> bool {
        let (order, selection) = (self.order, &self.order.selection);
        let event = letter.event_id.map(|event| event.to_string());
        let names = [letter.message_id.as_deref(), event.as_deref()];
        if let Some(id) = selection.ids.iter().find(|id| names.contains(&Some(id.as_str()))) {
            if *letter.queue() == TODO_QUEUE {
                tally.answered(id);
            } else {
                tally.has_letter(id);
            }
            return true;
        }
        let oldest_allowed = order.older_than.map(|age| clock::now_ms() - millis(age));
        let old_enough = match (oldest_allowed, letter.published_at_ms) {
            (Some(limit), Some(published)) => published <= limit,
            (Some(_), None) | (None, _) => true,
        };
        let fits = order.cause.as_ref().is_none_or(|cause| *cause == letter.reason);
        selection.dead_letters && fits && old_enough
    }
}

/// A lane for each user, and one for each letter that names none.
fn lanes(letters: Vec<DeadLetter>) -> Vec<Lane> {
    let mut lanes: Vec<(Option<UserId>, Lane)> = Vec::new();
    for letter in letters {
        let user = letter.user_id;
        match lanes.iter_mut().find(|(of, _)| user.is_some() && *of == user) {
            Some((_, lane)) => lane.push(letter),
            None => lanes.push((user, vec![letter])),
        }
    }
    lanes.into_iter().map(|(_, lane)| lane).collect()
}
