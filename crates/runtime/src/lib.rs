//! What every process needs before it does anything of its own: settings,
//! logs, a clock, a way to stop, and a word about its health.

pub mod availability;
pub mod backoff;
pub mod clock;
pub mod config;
pub mod environment;
pub mod exit;
pub mod group;
pub mod health;
pub mod lifecycle;
pub mod secret;
pub mod telemetry;
pub mod trace;

pub use availability::Availability;
pub use backoff::Backoff;
pub use config::{ConfigError, Problems};
pub use environment::{Environment, EnvironmentArgs};
pub use group::Group;
pub use health::{Check, Readiness};
pub use lifecycle::{Shutdown, Tasks};
pub use secret::{Secret, SecretArgs};
