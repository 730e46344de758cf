//! The audit: proves or disproves that nobody who registered is lost, served
//! twice, or there without a reason, and that every other event of the outbox has
//! reached its consumers.
//!
//! It only reads. MongoDB (both databases), Temporal, the queue and the dead
//! letters are each read in pages, in both directions: what a user is owed must
//! be there, and whatever is there must be owed to somebody. The audit keeps
//! one page at a time and the named violations, however many registrations
//! there are. Temporal's visibility lags, so nothing is called missing, failed
//! or open on its word alone.
//!
//! The system may run meanwhile. Everything that is promised only ever grows
//! (a row, then its record, then its acknowledgement), so what must exist is
//! looked up after what demands it was read; what retention removes lies
//! behind a horizon that is written down before, so the horizon is read after
//! the gap was seen.
//!
//! When the process dies here nothing is lost but the report.

mod addresses;
pub(crate) mod document;
mod error;
mod histories;
mod history;
mod horizon;
mod inbox;
mod keys;
mod kind;
mod options;
mod outbox;
mod page;
mod passes;
mod progress;
mod queues;
mod report;
mod sample;
mod scope;
mod sources;
mod todos;
mod unreadable;
mod users;
mod visibility;
mod welcome;
mod workflow;
mod workflows;

pub use error::AuditError;
pub use kind::{Class, Kind};
pub use options::{Histories, Options};
pub use passes::audit;
pub use progress::{Pass, Progress};
pub use report::{Note, Report, Violation};
pub use sources::Sources;
