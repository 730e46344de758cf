//! MongoDB: the users, the outbox, the inbox and the todos.
//!
//! Every operation is bounded in time and answers "retry or permanent"
//! ([`StoreError::is_retryable`]). Times are milliseconds since the Unix epoch.

pub mod bson_time;
pub mod config;
mod consumers;
mod error;
pub mod field;
mod inbox;
pub mod inspect;
mod mongo;
pub mod outbox;
mod raw;
pub mod raw_document;
mod registrations;
pub mod relays;
pub mod retention;
pub mod scan;
mod server_clock;
mod sessions;
pub mod setup;
mod signing_keys;
mod todos;
mod users;
mod wake;

pub use config::{MongoArgs, MongoConfig, inbox_retention, outbox_retention};
pub use consumers::{Consumers, ExtraConsumersArgs, KnownConsumer};
pub use error::{StoreError, is_duplicate_key, is_write_conflict};
pub use field::{Field, Malformed};
pub use inbox::{CONFLICTS_MAX, Conflict, InboxNames, InboxRecord};
pub use mongo::{Mongo, OPERATION_DEADLINE, bounded, client, transact, transaction};
pub use outbox::{
    AwaitedBy, Due, DuePage, Expectation, InStage, MarkedSent, Outbox, OutboxRow, Overdue,
    OverdueRows, Record, Recorded, Stages, Written, earlier,
};
pub use raw::{Raw, Unreadable, name};
pub use registrations::{
    Committed, KeyRecord, NewKey, NewRegistration, RegisterError, Registered, RegistrationRow,
    Registrations,
};
pub use server_clock::{CLOCKS_DIFFER_MAX, ServerClock};
pub use sessions::{NewSession, NewToken, Opened, Rotated, Sessions, TokenHash};
pub use signing_keys::{KeyList, KeyRow, Removal, SigningKeys};
pub use todos::{
    CREATED_BY_USER, Change, Changed, Created, Expected, Position, Removed, Todo, TodoPage, Todos,
    Welcome, check_todo,
};
pub use users::{RoleChange, RoleChanged, User, Users, displaced, has_roles};
pub use wake::{Inserted, METRICS, watch_outbox};
