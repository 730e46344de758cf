//! `onboard bench`: the figures of `docs/performance.md`, measured again.
//!
//! A run brings up a stack of its own ([`bed`]) and measures nothing else.
//! Each scenario is one file; it prints what it measured beside the limit that
//! was measured in the same run, and their ratio: absolute times say little on
//! a shared machine.
//!
//! When this process dies the kernel kills what it started.
//!
//! Reading order: [`run()`] → [`bed`] → the scenarios → [`report`].

pub mod bed;
pub mod figure;
pub mod report;
pub mod run;
pub mod scenario;

mod consume;
mod cpu;
mod drain;
mod empty;
mod fill;
mod hashing;
mod history;
mod latency;
mod load;
mod memory;
mod outage;
mod overload;
mod progress;
mod register;
mod rest;
mod samples;
mod startup;
mod transactions;
mod until;

pub use bed::{Bed, BedConfig};
pub use figure::{Figure, Target};
pub use report::Report;
pub use run::run;
pub use scenario::{Scale, Scenario};
