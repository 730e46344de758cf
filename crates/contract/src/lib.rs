//! The language that all services share: ids, names, event types and queues as data, an
//! event on the wire, the workflow's input and the stages of a delivery. It names no event
//! and no service.
//!
//! Nothing here reads a clock, a random source or a socket, so that workflow
//! code may use all of it.

pub mod acknowledged;
pub mod consumer;
pub mod event;
pub mod ids;
pub mod message;
pub mod names;
pub mod stage;
pub mod topology;
pub mod trace;
pub mod workflow;

pub use acknowledged::{Acknowledged, AcknowledgedError};
pub use consumer::{ConsumerName, EventConsumer};
pub use event::{Decoder, Envelope, EventError};
pub use ids::{EventId, SessionId, UserId};
pub use message::{Event, EventType, EventVersion, Message};
pub use stage::{OutboxStatus, Stage, StageFacts};
pub use topology::{ACKNOWLEDGEMENTS_QUEUE, Queue, Topology};
pub use trace::TraceParent;
pub use workflow::{Delivery, Progress, Question, Start};
