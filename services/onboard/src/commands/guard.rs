//! `onboard guard`: runs a command that ends with the process that started
//! it. The local stack starts everything through it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use onboard_stack::process::{Check, Priority};

/// Arguments of `onboard guard`.
#[derive(Debug, clap::Args)]
pub(crate) struct GuardArgs {
    /// The process that starts this one.
    parent_pid: u32,
    /// Let others have the CPUs first.
    #[arg(long)]
    background: bool,
    /// The SHA-256 that the program must have.
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,
    /// A folder whose files must be those of its record.
    #[arg(long, value_name = "PATH")]
    folder: Vec<PathBuf>,
    /// What to run, and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Becomes the command.
pub(crate) fn run(args: &GuardArgs) -> anyhow::Result<ExitCode> {
    let priority = if args.background { Priority::Background } else { Priority::Foreground };
    let sha256 = args.sha256.clone().map(Check::Sha256);
    let folders = args.folder.iter().cloned().map(Check::Folder);
    let checks: Vec<Check> = sha256.into_iter().chain(folders).collect();
    onboard_stack::guard::exec(args.parent_pid, priority, &checks, &args.command)
        .map(|never| match never {})
}
