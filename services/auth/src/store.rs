//! What auth keeps in MongoDB: users, sessions, keys, and registrations with their
//! outbox rows.
//!
//! No other service writes these collections. A change that a process has not committed
//! when it dies is not there.

mod collections;
mod registrations;
mod security_events;
mod sessions;
mod signing_keys;
mod users;

use onboard_mongo::scan::Kind;

pub use collections::collections;
pub use registrations::{
    Committed, KeyHashes, KeyRecord, NewKey, NewRegistration, RegisterError, Registered,
    RegistrationRow, Registrations,
};
pub use security_events::{
    By, EventKind, EventsPage, EventsQuery, RecordedEvent, SecurityEvents, UnknownKind, Witness,
};
pub use sessions::{NewSession, NewToken, Opened, Revoked, Rotated, Sessions, TokenHash};
pub use signing_keys::{KeyList, KeyRow, Removal, SigningKeys};
pub use users::{RoleChange, RoleChanged, User, Users, UsersPage, displaced, has_roles};

/// The users, as a scan looks at them.
pub const USERS: Kind = Kind { collection: users::USERS, check: users::check };
/// The sessions.
pub const SESSIONS: Kind = Kind { collection: sessions::SESSIONS, check: sessions::check_session };
/// The refresh tokens.
pub const REFRESH_TOKENS: Kind =
    Kind { collection: sessions::REFRESH_TOKENS, check: sessions::check_token };
/// The signing keys.
pub const SIGNING_KEYS: Kind =
    Kind { collection: signing_keys::SIGNING_KEYS, check: signing_keys::check };
/// The security events.
pub const SECURITY_EVENTS: Kind =
    Kind { collection: security_events::SECURITY_EVENTS, check: security_events::check };
/// The idempotency keys.
pub const IDEMPOTENCY_KEYS: Kind =
    Kind { collection: registrations::IDEMPOTENCY_KEYS, check: registrations::check_key };
