//! What every process needs before it does anything of its own: settings,
//! logs, metrics as data, a clock, the host's name, rounds of work, a way to stop,
//! and a word about its health.

pub mod availability;
pub mod backoff;
pub mod cgroup;
pub mod clock;
pub mod config;
pub mod descriptors;
pub mod environment;
pub mod exit;
pub mod group;
pub mod health;
pub mod host;
pub mod lifecycle;
pub mod memory;
pub mod metric;
pub mod plain;
pub mod protection;
pub mod rounds;
pub mod secret;
pub mod service;
pub mod telemetry;
pub mod trace;
mod waits;

pub use availability::Availability;
pub use backoff::Backoff;
pub use config::{ConfigError, Problems};
pub use environment::{Environment, EnvironmentArgs};
pub use group::Group;
pub use health::{Check, Readiness};
pub use lifecycle::{Shutdown, Tasks};
pub use metric::Metric;
pub use plain::Plain;
pub use protection::{Exposure, Lack, Protection, ServerKind};
pub use rounds::Rounds;
pub use secret::{Secret, SecretArgs};
pub use service::Service;
pub use waits::Waits;
