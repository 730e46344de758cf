//! The events of this system, one file each, and the table of them that the engine reads.
//!
//! A new event is a file here and a line in `EVENTS`; its tests, its documents and its
//! consumers say the rest (docs/how-to/add-an-event.md). Nothing here reads a clock, a
//! random source or a socket, so that workflow code may use all of it.

mod extra_consumers;
pub mod names;
pub mod registration;
pub mod schemas;
pub mod todo;
mod topology;
pub mod user_registered;

use std::sync::OnceLock;

use onboard_contract::{ConsumerName, Envelope, EventId, EventType, UserId};

pub use extra_consumers::{ExtraConsumers, InvalidExtraConsumers};
pub use registration::{RegistrationInput, RegistrationProgress};
pub use todo::{Acknowledgement, TODO, TodoId};
pub use topology::{registration_queue, topology};
pub use user_registered::{TODO_QUEUE, UserRegistered};

/// The event types of this system.
const EVENTS: &[&EventType] = &[UserRegistered::TYPE];
/// The type of the events of released builds, whose rows need not name it.
pub const RELEASED: &EventType = UserRegistered::TYPE;
/// The consumer that rows of released builds expect, which name none.
pub const RELEASED_CONSUMER: ConsumerName = TODO;
static MORE: OnceLock<&'static [&'static EventType]> = OnceLock::new();

/// Adds the event types of a program that embeds the engine. To be called once, before
/// anything runs; false when it was called before.
pub fn install(more: &'static [&'static EventType]) -> bool {
    MORE.set(more).is_ok()
}

/// Every event type that this build knows.
pub fn known() -> impl Iterator<Item = &'static EventType> {
    EVENTS.iter().chain(MORE.get().copied().unwrap_or_default()).copied()
}

/// The event type of this name, if this build knows it. A row of another type waits in
/// quarantine until a build knows it.
#[must_use]
pub fn find(name: &str) -> Option<&'static EventType> {
    known().find(|known| known.name == name)
}

/// The ids that a body of any known event type has: the event's, and of a registration
/// the user's.
#[must_use]
pub fn ids(body: &[u8]) -> Option<(EventId, Option<UserId>)> {
    let envelope = Envelope::parse(body, find).ok()?;
    if is_registration(envelope.event_type) {
        // One published by hand may lack the rest.
        let user = envelope.payload.required("userId").ok()?;
        return Some((envelope.event_id, Some(user)));
    }
    (envelope.version.check)(&envelope.payload).ok()?;
    Some((envelope.event_id, None))
}

/// Whether it is the event of a registration, which a user and a welcome todo belong to.
#[must_use]
pub fn is_registration(event_type: &EventType) -> bool {
    event_type.name == UserRegistered::TYPE.name
}

/// Whether workflows of this type deliver events that this build knows.
#[must_use]
pub fn has_workflows_of(workflow_type: &str) -> bool {
    known().any(|known| known.workflow_type() == workflow_type)
}

/// The event whose workflow has this type and this id.
#[must_use]
pub fn of_workflow(workflow_type: &str, workflow: &str) -> Option<EventId> {
    let mut types = known().filter(|known| known.workflow_type() == workflow_type);
    types.find_map(|known| known.event_of(workflow))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_body_tells_the_ids_of_an_event_that_is_known() {
        let (id, user) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let body = |event_type: &str| {
            let payload = json!({ "userId": user, "email": "a@example.com" });
            let body = json!({
                "eventId": id, "eventType": event_type, "schemaVersion": 1, "payload": payload,
            });
            body.to_string().into_bytes()
        };
        let known = (id.into(), Some(user.into()));
        assert_eq!(ids(&body("USER_REGISTERED")), Some(known));
        assert_eq!(ids(&body("ORDER_PLACED")), None, "it is not installed");
        assert_eq!(ids(b"{}"), None);
    }

    #[test]
    fn an_event_is_found_by_its_name_and_by_its_workflow() {
        assert!(find("USER_REGISTERED").is_some());
        assert!(find("ORDER_PLACED").is_none(), "it is not installed");
        let event: EventId = Uuid::from_u128(1).into();
        let workflow = format!("registration-{event}");
        assert_eq!(UserRegistered::TYPE.workflow_id(event), workflow);
        assert_eq!(of_workflow("UserRegistration", &workflow), Some(event));
        assert_eq!(of_workflow("EventDelivery", &workflow), None);
        assert_eq!(of_workflow("UserRegistration", &format!("order-placed-{event}")), None);
    }
}
