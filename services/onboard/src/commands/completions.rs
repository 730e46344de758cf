//! `onboard completions <shell>`: what a shell completes after `onboard`.

use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;
use onboard_runtime::exit;

use super::operate::print;

/// Arguments of `onboard completions`.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell that reads them.
    shell: Shell,
}

/// Prints the script to standard output.
pub(crate) fn run(args: &CompletionsArgs, program: &mut Command) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, program, "onboard", &mut script);
    print(&String::from_utf8_lossy(&script));
    ExitCode::from(exit::DONE)
}
