//! `onboard config`: every setting there is, out of the very definitions that
//! read them, so that none can be missing and none can differ.
//!
//! The page `docs/settings.md` is this with `--markdown`, and a test holds it.

mod page;
mod settings;

use std::process::ExitCode;

use clap::Command;
use onboard_runtime::exit;

use self::settings::settings;
use super::columns::columns;
use super::operate::print;

/// Arguments of `onboard config`.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArgs {
    /// Print one JSON document.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print the page `docs/settings.md`.
    #[arg(long)]
    markdown: bool,
}

/// Prints every setting of the program.
pub(crate) fn run(args: &ConfigArgs, program: &Command) -> ExitCode {
    let settings = settings(program);
    print(&match (args.json, args.markdown) {
        (true, _) => page::json(&settings),
        (_, true) => page::markdown(&settings),
        _ => page::text(&settings, columns()),
    });
    ExitCode::from(exit::DONE)
}
