//! Exchanges and queues as data: what a message broker holds for this system.
//!
//! `crates/broker` declares whatever a [`Topology`] lists and names no event
//! and no queue itself. Every process that declares a queue must declare it
//! alike, because RabbitMQ refuses a second declaration with other arguments.
//! Nothing here runs, so nothing is lost when a process dies.

use std::borrow::Cow;

use crate::names::{
    ACKNOWLEDGEMENTS, ACKNOWLEDGEMENTS_DLQ, ACKNOWLEDGEMENTS_DLX, DEAD_LETTER_EXCHANGE,
    DEAD_LETTER_QUEUE, EXCHANGE, QUEUE, ROUTING_KEY,
};
use crate::{ConsumerName, EventType, ExtraConsumers, UserRegistered};

/// The queue of the todo service.
pub const TODO_QUEUE: Queue = Queue {
    name: Cow::Borrowed(QUEUE),
    exchange: Cow::Borrowed(EXCHANGE),
    routing_key: Cow::Borrowed(ROUTING_KEY),
    dead_letter_exchange: Cow::Borrowed(DEAD_LETTER_EXCHANGE),
    dead_letter_queue: Cow::Borrowed(DEAD_LETTER_QUEUE),
};

/// The queue of the acknowledgements that come over the broker.
pub const ACKNOWLEDGEMENTS_QUEUE: Queue = Queue {
    name: Cow::Borrowed(ACKNOWLEDGEMENTS),
    exchange: Cow::Borrowed(ACKNOWLEDGEMENTS),
    // One word: the name of a consumer.
    routing_key: Cow::Borrowed("*"),
    dead_letter_exchange: Cow::Borrowed(ACKNOWLEDGEMENTS_DLX),
    dead_letter_queue: Cow::Borrowed(ACKNOWLEDGEMENTS_DLQ),
};

/// The queues of a system, with the exchanges that they are bound to.
#[derive(Debug, Clone, Default)]
pub struct Topology {
    /// Each queue once.
    pub queues: Vec<Queue>,
}

/// The queue of one consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// The queue's name.
    pub name: Cow<'static, str>,
    /// The topic exchange that the queue is bound to.
    pub exchange: Cow<'static, str>,
    /// The routing key that the queue is bound by. Its dead letters have it, too.
    pub routing_key: Cow<'static, str>,
    /// The topic exchange that the queue's dead letters go through.
    pub dead_letter_exchange: Cow<'static, str>,
    /// The queue that the dead letters wait in.
    pub dead_letter_queue: Cow<'static, str>,
}

impl Topology {
    /// What every process of this system declares: the queues of the consumers
    /// that the known event types have, and that of the acknowledgements.
    #[must_use]
    pub fn standard() -> Self {
        let of_type = |event_type: &'static EventType| {
            event_type.consumer_names().map(|consumer| Queue::for_event(event_type, consumer))
        };
        let mut queues: Vec<Queue> = EventType::known().flat_map(of_type).collect();
        queues.push(ACKNOWLEDGEMENTS_QUEUE);
        Self { queues }
    }

    /// The same with the queues of consumers that a setting adds.
    #[must_use]
    pub fn with(extra: &ExtraConsumers) -> Self {
        let mut topology = Self::standard();
        topology.queues.extend(extra.names().iter().map(Queue::of));
        topology
    }
}

impl Queue {
    /// The queue in which a consumer gets `USER_REGISTERED`.
    #[must_use]
    pub fn of(consumer: &ConsumerName) -> Self {
        Self::for_event(UserRegistered::TYPE, consumer)
    }

    /// The queue in which a consumer gets an event: that of `crm` for
    /// `USER_REGISTERED` is `crm.user_registered`. The todo service keeps the
    /// name that its queue always had.
    #[must_use]
    pub fn for_event(event_type: &EventType, consumer: &ConsumerName) -> Self {
        if event_type.name == UserRegistered::TYPE.name && *consumer == ConsumerName::TODO {
            return TODO_QUEUE;
        }
        let name = format!("{consumer}.{}", event_type.routing_key.replace('.', "_"));
        Self {
            exchange: Cow::Borrowed(event_type.exchange),
            routing_key: Cow::Borrowed(event_type.routing_key),
            dead_letter_exchange: Cow::Owned(format!("{name}.dlx")),
            dead_letter_queue: Cow::Owned(format!("{name}.dlq")),
            name: Cow::Owned(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_consumer_has_a_queue_with_dead_letters_of_its_own() {
        let extra: ExtraConsumers = "crm:USER_REGISTERED,search:USER_REGISTERED".parse().unwrap();
        let topology = Topology::with(&extra);
        let names: Vec<&str> = topology.queues.iter().map(|queue| &*queue.name).collect();
        let own = ["crm.user_registered", "search.user_registered"];
        assert_eq!(names, [QUEUE, ACKNOWLEDGEMENTS, own[0], own[1]]);
        for field in [
            |queue: &Queue| queue.name.clone(),
            |queue: &Queue| queue.dead_letter_exchange.clone(),
            |queue: &Queue| queue.dead_letter_queue.clone(),
        ] {
            let mut each: Vec<_> = topology.queues.iter().map(field).collect();
            each.sort();
            each.dedup();
            assert_eq!(each.len(), topology.queues.len());
        }
    }

    #[test]
    fn the_todo_service_keeps_the_name_of_its_queue() {
        assert_eq!(Queue::of(&ConsumerName::TODO), TODO_QUEUE);
    }
}
