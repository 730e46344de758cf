//! `onboard`: every service and every tool of the system as a subcommand.

mod cli;
mod commands;

pub use cli::main;
