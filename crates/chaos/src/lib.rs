//! The chaos run: load on a stack of its own while servers and services are
//! killed, frozen and restarted, then the proof that nobody was lost.
//!
//! The plan of the faults ([`plan`]) follows from the seed before anything runs, so that
//! a run can be repeated. The client writes down every answer it got ([`journal`]); the
//! judge compares that with MongoDB ([`judge`]), and the auditor reads all stores
//! independently.
//!
//! When this process dies the kernel kills what it started; the state
//! directory stays and can be read.
//!
//! Reading order: [`run()`] → [`stage`] → [`plan`] → `inject` → `load` →
//! [`journal`] → [`mod@settle`] → [`facts`] → [`judge`] → [`report`].

pub mod facts;
pub mod journal;
pub mod judge;
pub mod live;
pub mod plan;
pub mod report;
pub mod run;
pub mod settle;
pub mod stage;

mod inject;
mod load;
mod management;
mod versions;

pub use live::Live;
pub use plan::{Fault, Kind, Plan};
pub use report::Report;
pub use run::{Settings, run};
pub use settle::settle;
pub use stage::{Stage, StageConfig};
