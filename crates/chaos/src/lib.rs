//! The chaos run: load on a stack of its own while servers and services are
//! killed, frozen and restarted, then the proof that nobody was lost.
//!
//! What is broken, when and for how long is drawn from the seed before
//! anything runs ([`plan`]), so that a run can be repeated. What was promised
//! is what the client itself wrote down ([`journal`]); what came of it is read
//! from MongoDB and compared ([`judge`]), and the auditor looks at all stores
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
