//! A type for every id, so that a user id is never passed for an event id.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// The id as a UUID.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

id! {
    /// A registered user.
    UserId
}
id! {
    /// An outbox event; also the registration's id and the message's id.
    EventId
}
id! {
    /// A todo.
    TodoId
}
id! {
    /// A login and everything that was refreshed from it.
    SessionId
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
