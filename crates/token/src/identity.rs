//! The user that a token names.

use std::fmt;
use std::str::FromStr;

use onboard_contract::{SessionId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an account may do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Uses the system for itself. Everybody has it.
    User,
    /// Looks after the accounts of others.
    Admin,
}

/// There is no role of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no role; there are user and admin")]
pub struct UnknownRole;

impl Role {
    /// Every role.
    pub const ALL: [Self; 2] = [Self::User, Self::Admin];

    /// Its name, everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

/// What a new token is to say of an account.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The account.
    pub user: UserId,
    /// Its roles.
    pub roles: Vec<Role>,
    /// The session the token belongs to.
    pub session: SessionId,
}

/// What a token that was checked says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub user: UserId,
    /// Its roles when the token was issued.
    pub roles: Vec<Role>,
    /// The session the token belongs to.
    pub session: Option<SessionId>,
    /// When the token ends, in ms.
    pub expires_at_ms: i64,
}

impl Identity {
    /// Whether the account had the role when the token was issued.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_has_one_name_in_text_and_in_json() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        assert_eq!("Admin".parse::<Role>(), Err(UnknownRole));
    }
}
