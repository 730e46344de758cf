//! MongoDB for any service: client, transactions, errors, documents that anybody may
//! have written, and setup of any list of collections.
//!
//! Every operation is bounded in time and answers "retry or permanent"
//! ([`StoreError::is_retryable`]). Times are milliseconds since the Unix epoch. The
//! crate knows no collection of a service, and no event.

pub mod bson_time;
pub mod config;
mod error;
pub mod field;
pub mod inspect;
mod mongo;
mod raw;
pub mod raw_document;
pub mod retention;
pub mod scan;
mod server_clock;
pub mod setup;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use bson_time::earlier;
pub use config::{DatabaseSettings, MongoArgs, MongoConfig, refuse_in_production};
pub use error::{StoreError, code, is_duplicate_key, is_write_conflict, refusal, remedy, words};
pub use field::{Field, Malformed};
pub use mongo::{
    Mongo, OPERATION_DEADLINE, Read, ask, bounded, client, in_session, transact, transact_at,
    transaction, walk,
};
pub use raw::{Noted, Raw, Unreadable, name};
pub use server_clock::{CLOCKS_DIFFER_MAX, ServerClock};
