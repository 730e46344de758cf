//! What the consumers of all events need at the broker. Nothing here runs, so nothing is
//! lost when a process dies.

use onboard_contract::{ACKNOWLEDGEMENTS_QUEUE, ConsumerName, EventType, Queue, Topology};

use crate::{ExtraConsumers, UserRegistered};

/// What every process of this system declares: the queues of the consumers that the
/// known event types have, that of the acknowledgements, and those of consumers that a
/// setting adds.
#[must_use]
pub fn topology(extra: &ExtraConsumers) -> Topology {
    let of_type = |event_type: &'static EventType| {
        event_type.consumer_names().map(|consumer| Queue::for_event(event_type, consumer))
    };
    let mut queues: Vec<Queue> = crate::known().flat_map(of_type).collect();
    queues.push(ACKNOWLEDGEMENTS_QUEUE);
    queues.extend(extra.names().iter().map(registration_queue));
    Topology { queues }
}

/// The queue in which a consumer gets `USER_REGISTERED`.
#[must_use]
pub fn registration_queue(consumer: &ConsumerName) -> Queue {
    Queue::for_event(UserRegistered::TYPE, consumer)
}

#[cfg(test)]
mod tests {
    use onboard_contract::names::ACKNOWLEDGEMENTS;

    use super::*;
    use crate::user_registered::{QUEUE, TODO_QUEUE};

    #[test]
    fn each_consumer_has_a_queue_with_dead_letters_of_its_own() {
        let extra: ExtraConsumers = "crm:USER_REGISTERED,search:USER_REGISTERED".parse().unwrap();
        let topology = topology(&extra);
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
        assert_eq!(registration_queue(&crate::TODO), TODO_QUEUE);
    }
}
