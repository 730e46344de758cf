//! What is long by nature: proofs that need many rows or minutes. They are not
//! part of `cargo test --workspace`; `.ci/run` runs them each time:
//!
//! ```sh
//! cargo test --workspace --test endurance
//! ```

#![allow(missing_docs, reason = "the names of the tests say it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]

#[path = "endurance/audit.rs"]
mod audit;
#[path = "endurance/bench.rs"]
mod bench;
#[path = "endurance/bodies.rs"]
mod bodies;
#[path = "endurance/chaos.rs"]
mod chaos;
#[allow(dead_code, unused_imports, reason = "the other binary of tests uses the rest")]
mod harness;
#[path = "endurance/hundreds.rs"]
mod hundreds;
#[path = "endurance/million.rs"]
mod million;
mod operations;
#[path = "endurance/pages.rs"]
mod pages;
#[path = "endurance/promtool.rs"]
mod promtool;
#[path = "endurance/released.rs"]
mod released;
#[path = "endurance/rolling.rs"]
mod rolling;
mod runbook;
#[path = "endurance/strangers.rs"]
mod strangers;
