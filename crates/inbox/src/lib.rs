//! The consumer's side of a delivery: from a message to its effect, once, and the
//! acknowledgement of it.
//!
//! A consumer gives an [`Effect`] (how a body is read, and what an event makes), a
//! way to [`Acknowledge`], and the names of its inbox as data. This crate knows no
//! service, no event and no metric of a service. What it holds to:
//! - The inbox record and the effect are in one transaction. A message that comes
//!   again finds the record and changes nothing.
//! - A delivery is acked after the commit, and the event acknowledged after it,
//!   again and again until that is noted on the record.
//! - A message that no build can handle becomes a dead letter with its reason and
//!   holds up nobody.
//!
//! A workflow that waits too long asks the consumer ([`Answers`]): the answer looks at
//! the effect. A consumer that serves no task queue in Temporal is not asked.
//!
//! A process may die anywhere: before the commit the message comes again; after
//! it the message is a duplicate; and what was committed but not acknowledged is
//! found by the sweep.

mod acknowledge;
mod acknowledger;
mod answer;
mod backlog;
mod collection;
mod config;
mod consume;
mod effect;
mod groups;
mod handler;
mod inbox;
mod questions;
mod record;
mod retention;
mod sweep;

pub use acknowledge::{Acknowledge, Done, Heard, OverBroker};
pub use answer::Answers;
pub use config::inbox_retention;
pub use consume::Consuming;
pub use effect::{Applied, Arrived, Effect, Noticed, Turn};
pub use inbox::Inbox;
pub use record::{CONFLICTS_MAX, Conflict, InboxNames, InboxRecord};
pub use retention::retain;
pub use sweep::SweepSettings;

/// The note of the records that are gone, among the horizons of the inbox's database.
pub const INBOX: &str = "inbox";
