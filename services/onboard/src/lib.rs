//! `onboard`: every service and every tool of the system as a subcommand.

mod cli;
mod commands;
pub mod metrics;
pub mod services;
mod wiping;

pub use cli::main;
