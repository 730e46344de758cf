//! `onboard consumers list`: how far each consumer is. Nothing is changed, not
//! even a topology, so a process that dies here leaves nothing behind.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use onboard_broker::{DeadLettersError, Waiting, waiting};
use onboard_contract::{ConsumerName, EventType, Queue};
use onboard_events::UserRegistered;
use onboard_events::user_registered::USER_REGISTERED;
use onboard_outbox::AwaitedBy;
use onboard_runtime::clock;
use serde::Serialize;

use crate::{Operator, OperatorError, times};

/// How far a consumer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// Its name.
    pub consumer: ConsumerName,
    /// Its queue.
    pub queue: String,
    /// The queue of its dead letters.
    pub dead_letter_queue: String,
    /// Messages that are ready in its queue; absent when there is none.
    pub messages: Option<u32>,
    /// Its dead letters; absent when there is no such queue.
    pub dead_letters: Option<u32>,
    /// How many unfinished rows await it; counting stops at 10,000.
    pub awaited: u64,
    /// When the oldest of these rows was created.
    #[serde(serialize_with = "times::maybe")]
    pub oldest_at: Option<i64>,
    /// How long ago that was.
    pub oldest_age_ms: Option<i64>,
    /// Since when no new event waits for it.
    #[serde(serialize_with = "times::maybe")]
    pub retired_at: Option<i64>,
    /// What is wrong with it, in words.
    pub problems: Vec<String>,
}

/// What is noted about a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Noted {
    /// It is part of this program.
    BuiltIn,
    /// Setup has noted it.
    BySetup { retired_at: Option<i64> },
    /// Rows expect it, and setup has not noted it.
    ByRows,
}

impl Operator {
    /// Every consumer: those of this program, those that setup has noted, and
    /// those that unfinished rows expect.
    ///
    /// # Errors
    /// MongoDB or RabbitMQ cannot be reached.
    pub async fn consumers(&self) -> Result<Vec<Standing>, OperatorError> {
        let outbox = self.mongo.deliveries();
        let mut noted: BTreeMap<ConsumerName, Noted> = BTreeMap::new();
        for name in outbox.expected().await.map_err(OperatorError::Store)? {
            noted.insert(name, Noted::ByRows);
        }
        for known in self.known_consumers().await? {
            noted.insert(known.name, Noted::BySetup { retired_at: known.retired_at_ms });
        }
        let built_in = onboard_events::known().flat_map(EventType::consumer_names);
        noted.extend(built_in.map(|name| (name.clone(), Noted::BuiltIn)));
        let awaited = try_join_all(noted.keys().map(|name| outbox.awaited_by(name)));
        let awaited = awaited.await.map_err(OperatorError::Store)?;
        let queues: Vec<Queue> = noted.keys().map(queue_of).collect();
        let counted = waiting(&self.broker, "onboard consumers", &queues).await;
        let counted =
            counted.map_err(|error| OperatorError::Broker(DeadLettersError::Connect(error)))?;
        let mut all: Vec<Standing> = noted
            .into_iter()
            .zip(queues)
            .zip(awaited.into_iter().zip(counted))
            .map(|((of, queue), (awaited, counted))| standing(of, &queue, awaited, counted))
            .collect();
        // That of this program first, the others by name.
        all.sort_by_key(|one| one.consumer != onboard_events::TODO);
        Ok(all)
    }
}

/// The queue in which the consumer gets the event that this program has it for.
fn queue_of(consumer: &ConsumerName) -> Queue {
    let has = |known: &&EventType| known.consumer_names().any(|name| name == consumer);
    let event_type = onboard_events::known().find(has).unwrap_or(UserRegistered::TYPE);
    Queue::for_event(event_type, consumer)
}

fn standing(
    (consumer, noted): (ConsumerName, Noted),
    queue: &Queue,
    awaited: AwaitedBy,
    (messages, letters): (Waiting, Waiting),
) -> Standing {
    let retired_at = match noted {
        Noted::BySetup { retired_at } => retired_at,
        Noted::BuiltIn | Noted::ByRows => None,
    };
    let mut problems = Vec::new();
    if noted == Noted::ByRows {
        problems.push(format!(
            "rows expect {consumer}, and setup has not noted it: add {consumer}:{USER_REGISTERED} \
             to EXTRA_CONSUMERS and run `onboard setup`, or run `onboard consumers retire \
             {consumer}`"
        ));
    }
    let mut number = |waiting: Waiting, name: &str| match waiting {
        Waiting::Messages(messages) => Some(messages),
        Waiting::NoQueue => {
            // That of a retired consumer may have been deleted.
            if retired_at.is_none() {
                problems.push(format!("the queue {name} is missing: run `onboard setup`"));
            }
            None
        }
        Waiting::Unknown(words) => {
            problems.push(format!("RabbitMQ does not say what waits in {name}: {words}"));
            None
        }
    };
    Standing {
        messages: number(messages, &queue.name),
        dead_letters: number(letters, &queue.dead_letter_queue),
        queue: queue.name.to_string(),
        dead_letter_queue: queue.dead_letter_queue.to_string(),
        awaited: awaited.rows,
        oldest_at: awaited.oldest_ms,
        oldest_age_ms: awaited.oldest_ms.map(|at| clock::now_ms().saturating_sub(at)),
        retired_at,
        problems,
        consumer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(noted: Noted, messages: Waiting) -> Standing {
        let name: ConsumerName = "crm".parse().unwrap();
        let awaited = AwaitedBy { rows: 2, oldest_ms: None };
        standing(
            (name.clone(), noted),
            &onboard_events::registration_queue(&name),
            awaited,
            (messages, Waiting::Messages(1)),
        )
    }

    #[test]
    fn a_queue_that_is_missing_is_said_unless_its_consumer_is_retired() {
        let missing = of(Noted::BySetup { retired_at: None }, Waiting::NoQueue);
        assert_eq!((missing.messages, missing.dead_letters), (None, Some(1)));
        assert!(missing.problems[0].contains("crm.user_registered is missing"), "{missing:?}");
        assert!(of(Noted::BySetup { retired_at: Some(7) }, Waiting::NoQueue).problems.is_empty());
    }

    #[test]
    fn a_consumer_that_only_rows_name_is_told_apart() {
        let stray = of(Noted::ByRows, Waiting::Messages(3));
        assert!(stray.problems[0].contains("EXTRA_CONSUMERS"), "{stray:?}");
        assert!(of(Noted::BuiltIn, Waiting::Messages(3)).problems.is_empty());
    }
}
