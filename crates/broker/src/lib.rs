//! RabbitMQ: publish with proof, consume with care.
//!
//! The crate names no event and no queue: callers give it a topology, and the
//! type of an event with each message.
//!
//! Stops 3 and 5 of a registration go through here. What this crate holds to:
//! - A publish is persistent, mandatory and confirmed, or it is an error.
//! - A delivery is settled (acked, requeued, dead-lettered) in one file,
//!   `settle.rs`, and acked only when the handler says that it has committed.
//! - Every call to the broker has a deadline; a dead, frozen or blocked broker
//!   makes callers wait or fail, never hang and never crash.
//! - No message that others publish ends a connection or fills the memory (`screen`).
//! - Publishing and consuming use connections of their own: a memory or disk
//!   alarm stops the socket of a publisher, and acks must not stand behind it.
//!
//! When the process dies here: a publish whose confirm was not seen may or may
//! not have arrived and is made again under the same message id; a delivery
//! that was not acked comes again.

mod config;
mod connection;
mod consumer;
mod dead_letter;
mod dead_letters;
mod depths;
mod incoming;
pub mod inspect;
mod lanes;
mod link;
mod message;
pub mod metrics;
mod nodes;
mod publisher;
mod screen;
mod settle;
mod setup;
pub mod topology;
mod unanswered;
mod words;

pub use config::{BrokerArgs, BrokerConfig};
pub use connection::ConnectError;
pub use consumer::Consumer;
pub use dead_letters::{DeadLetter, DeadLetters, DeadLettersError, PutBackError, ReadIds};
pub use depths::{Depth, Waiting, waiting, watch as watch_depths};
pub use incoming::{Incoming, Verdict};
pub use publisher::{CLOSE_MAX, PublishError, Publisher};
pub use setup::setup;
