//! Exchanges and queues as data: what a message broker holds for this system.
//!
//! `crates/broker` declares whatever a [`Topology`] lists and names no event
//! and no queue itself. Every process that declares a queue must declare it
//! alike, because RabbitMQ refuses a second declaration with other arguments.
//! Nothing here runs, so nothing is lost when a process dies.

use std::borrow::Cow;

use crate::names::{ACKNOWLEDGEMENTS, ACKNOWLEDGEMENTS_DLQ, ACKNOWLEDGEMENTS_DLX};
use crate::{ConsumerName, EventType};

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

impl Queue {
    /// The queue in which a consumer gets an event: that of `crm` for
    /// `USER_REGISTERED` is `crm.user_registered`, unless the event's table has another.
    #[must_use]
    pub fn for_event(event_type: &EventType, consumer: &ConsumerName) -> Self {
        let mut own = event_type.consumers.iter().filter(|one| one.name == *consumer);
        if let Some(queue) = own.find_map(|one| one.queue.clone()) {
            return queue;
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
