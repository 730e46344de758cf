//! The todo service as a consumer of `USER_REGISTERED`: what it makes, and how it
//! acknowledges.

use onboard_contract::{ConsumerName, EventId, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The todo service, which every registration waits for.
pub const TODO: ConsumerName = ConsumerName::constant("todo");
/// The title of the one todo every user gets.
pub const WELCOME_TITLE: &str = "Welcome to the App";
/// The signal by which the todo service acknowledges.
pub const SIGNAL_ACKNOWLEDGED: &str = "todo_acknowledged";
/// The activity that looks into the inbox, for runs of released builds.
pub const ACTIVITY_CHECK: &str = "check_todo_acknowledgement";

onboard_contract::id! {
    /// A todo.
    TodoId
}

/// The namespace of the welcome todos' ids (UUIDv5, RFC 9562 section 5.5).
const WELCOME_NAMESPACE: Uuid = Uuid::from_u128(0x0b7f_6a52_5f0e_4d8e_9a4e_6f6e_626f_6172);

impl TodoId {
    /// The one id a user's welcome todo can have.
    ///
    /// It follows from the user id, so a second welcome todo for a user is a
    /// duplicate key whatever event asks for it.
    #[must_use]
    pub fn welcome(user: UserId) -> Self {
        Self(Uuid::new_v5(&WELCOME_NAMESPACE, user.uuid().as_bytes()))
    }
}

/// What the todo service acknowledges, and the inbox proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Acknowledgement {
    /// The event that was processed.
    pub event_id: EventId,
    /// The welcome todo.
    pub todo_id: TodoId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_welcome_todo_id_depends_on_the_user_alone() {
        let one = UserId::from(Uuid::from_u128(1));
        let two = UserId::from(Uuid::from_u128(2));
        assert_eq!(TodoId::welcome(one), TodoId::welcome(one));
        assert_ne!(TodoId::welcome(one), TodoId::welcome(two));
    }
}
