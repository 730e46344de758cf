//! The consumer's side of a delivery: from a message to its effect, once, and the
//! acknowledgement of it.
//!
//! A process may die anywhere: before the commit the message comes again; after
//! it the message is a duplicate; and what was committed but not acknowledged is
//! found by the sweep.

mod acknowledger;
mod backlog;
mod consume;
mod groups;
mod handler;
mod inbox;
mod retention;
mod sweep;

pub use consume::{Settings, consume};
pub use inbox::Inbox;
pub use sweep::SweepSettings;
