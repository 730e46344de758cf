//! `onboard guard`: runs a command that ends with the process that started
//! it. The local stack starts everything through it.

use std::ffi::OsString;
use std::process::ExitCode;

use onboard_stack::process::Priority;

/// Arguments of `onboard guard`.
#[derive(Debug, clap::Args)]
pub(crate) struct GuardArgs {
    /// The process that starts this one.
    parent_pid: u32,
    /// Let others have the CPUs first.
    #[arg(long)]
    background: bool,
    /// What to run, and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Becomes the command.
pub(crate) fn run(args: &GuardArgs) -> anyhow::Result<ExitCode> {
    let priority = if args.background { Priority::Background } else { Priority::Foreground };
    onboard_stack::guard::exec(args.parent_pid, priority, &args.command).map(|never| match never {})
}
