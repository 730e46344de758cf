//! What happens to accounts, by name. Names never change: they are in the database.

use std::fmt;
use std::str::FromStr;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A user registered; told by the user's own document.
    Registered,
    /// A session was opened.
    LoggedIn,
    /// Address and password did not belong together.
    LoginFailed,
    /// A session was ended by its user.
    LoggedOut,
    /// A session was ended because one of its refresh tokens was used twice.
    SessionReused,
    /// A session was ended because its user had too many.
    SessionLimit,
    /// A password's hash was replaced by one of the same password.
    PasswordRehashed,
    /// A role was given.
    RoleGranted,
    /// A role was taken away.
    RoleRevoked,
    /// The first signing key was made.
    KeyMade,
    /// A new signing key was made, and the others end.
    KeyRotated,
    /// A signing key was removed.
    KeyRemoved,
    /// A signing key was sealed by the `AUTH_SECRET` of today.
    KeyRewrapped,
}

/// A text names no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("see --help for the kinds")]
pub struct UnknownKind;

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::Registered,
        Self::LoggedIn,
        Self::LoginFailed,
        Self::LoggedOut,
        Self::SessionReused,
        Self::SessionLimit,
        Self::PasswordRehashed,
        Self::RoleGranted,
        Self::RoleRevoked,
        Self::KeyMade,
        Self::KeyRotated,
        Self::KeyRemoved,
        Self::KeyRewrapped,
    ];

    /// The name in the database and in the tools.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::LoggedIn => "logged_in",
            Self::LoginFailed => "login_failed",
            Self::LoggedOut => "logged_out",
            Self::SessionReused => "session_reused",
            Self::SessionLimit => "session_limit",
            Self::PasswordRehashed => "password_rehashed",
            Self::RoleGranted => "role_granted",
            Self::RoleRevoked => "role_revoked",
            Self::KeyMade => "key_made",
            Self::KeyRotated => "key_rotated",
            Self::KeyRemoved => "key_removed",
            Self::KeyRewrapped => "key_rewrapped",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownKind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_by_its_name() {
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!("login".parse::<EventKind>(), Err(UnknownKind));
    }
}
