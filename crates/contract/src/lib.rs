//! The language the services share: ids, names, the event on the wire, the
//! workflow's input and the stages of a registration.
//!
//! Nothing here reads a clock, a random source or a socket, so that workflow
//! code may use all of it.

pub mod event;
pub mod ids;
pub mod names;
pub mod schemas;
pub mod stage;
pub mod trace;
pub mod workflow;

pub use event::{EventError, UserRegistered};
pub use ids::{EventId, SessionId, TodoId, UserId};
pub use stage::{OutboxStatus, Stage, StageFacts};
pub use trace::TraceParent;
pub use workflow::{Acknowledgement, Progress, RegistrationInput};
