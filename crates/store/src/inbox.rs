//! The inbox records as they are stored: how one is read, for everybody, and how
//! many conflicts one may note. `crates/inbox` writes them.

mod record;

pub use record::{Conflict, InboxNames, InboxRecord};

/// Conflicts that one record notes: about 10 kB, so that nobody can make a
/// record grow without end.
pub const CONFLICTS_MAX: usize = 100;
