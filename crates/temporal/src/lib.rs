//! Temporal, as the services use it: start a registration's workflow, signal
//! it, ask whether the server is there, and prepare the namespace.
//!
//! Workflow and activity code is elsewhere; only names and ids cross here.

mod census;
pub mod command;
pub mod config;
mod connection;
mod error;
mod execution;
mod held;
mod history;
pub mod inspect;
mod meter;
mod open;
mod plan;
pub mod query;
mod redrive;
mod routing;
mod rows;
pub mod setup;
mod workflow;

pub use census::{Answering, POLLER_GONE_AFTER, Pollers};
pub use config::{TemporalArgs, TemporalConfig};
pub use connection::Temporal;
pub use error::TemporalError;
pub use execution::{Execution, ExecutionStatus, PendingActivity};
pub use held::{Pause, PendingTask, RateLimit};
pub use history::Account;
pub use meter::{METRICS, telemetry};
pub use open::{Open, OpenPage, OpenWorkflow};
pub use plan::{DeliveryPlan, DeliveryPlanArgs, poller_identity};
pub use routing::Unserved;
pub use workflow::{Signalled, Started};
