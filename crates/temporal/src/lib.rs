//! Temporal, as the services use it: start a registration's workflow, signal
//! it, ask whether the server is there, and prepare the namespace.
//!
//! Workflow and activity code is elsewhere; only names and ids cross here.

mod census;
pub mod config;
mod connection;
mod error;
mod execution;
mod history;
pub mod inspect;
mod meter;
mod plan;
mod redrive;
mod registration;
mod rows;
pub mod setup;

pub use census::{POLLER_GONE_AFTER, Pollers};
pub use config::{TemporalArgs, TemporalConfig};
pub use connection::Temporal;
pub use error::TemporalError;
pub use execution::{Execution, ExecutionStatus, PendingActivity};
pub use history::Account;
pub use meter::{METRICS, telemetry};
pub use plan::{DeliveryPlan, DeliveryPlanArgs, poller_identity};
pub use registration::{Signalled, Started};
