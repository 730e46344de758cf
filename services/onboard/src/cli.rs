//! The command line: which subcommand runs, and what its exit code means.
//!
//! Exit codes: 0 done, 1 the answer is no, 2 wrong usage, 64 bad
//! configuration, 69 a server cannot be reached.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands::up;

#[derive(Debug, Parser)]
#[command(name = "onboard", version, about = "User registration that cannot lose anyone")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole system on this machine (the default).
    Up(up::UpArgs),
}

/// Runs the program; called by the binary and by the tests' copy of it.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command.unwrap_or_else(|| Command::Up(up::UpArgs::default())) {
        Command::Up(args) => up::run(args),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::from(1)
        }
    }
}
