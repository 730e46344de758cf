//! MongoDB: the users, the outbox, the inbox and the todos.
//!
//! Every operation is bounded in time and answers "retry or permanent"
//! ([`StoreError::is_retryable`]). Times are milliseconds since the Unix epoch.

mod bson_time;
pub mod config;
mod error;
mod inbox;
pub mod inspect;
mod mongo;
pub mod outbox;
mod registrations;
pub mod retention;
mod sessions;
pub mod setup;
mod signing_keys;
mod todos;
mod users;
mod wake;

pub use config::{MongoArgs, MongoConfig, inbox_retention, outbox_retention};
pub use error::StoreError;
pub use inbox::{Applied, Cursor, Inbox, Seen, Unacknowledged, Untold, occurred_at_ms};
pub use mongo::Mongo;
pub use outbox::{
    Claimed, Due, DuePage, InStage, MarkedSent, Outbox, OutboxRow, Overdue, OverdueRows, Recorded,
    Stages, Written,
};
pub use registrations::{
    Committed, KeyRecord, NewKey, NewRegistration, RegisterError, Registered, RegistrationRow,
    Registrations,
};
pub use sessions::{NewSession, NewToken, Opened, Rotated, Sessions, TokenHash};
pub use signing_keys::{KeyRow, Removal, SigningKeys};
pub use todos::{
    CREATED_BY_USER, Change, Changed, Created, Expected, Position, Removed, Todo, TodoPage, Todos,
};
pub use users::{RoleChange, RoleChanged, User, Users};
pub use wake::{Inserted, watch_outbox};
