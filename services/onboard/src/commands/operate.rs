//! What `list`, `show` and `redrive` share: reaching the servers, durations
//! and ages in words, and the exit codes of their failures.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use onboard_mongo::Unreadable;
use onboard_ops::{Operator, OperatorError};
use onboard_runtime::exit;
use onboard_runtime::plain::told;
use serde_json::{Value, json};

use super::actor::ActorArgs;
use super::columns::{columns, columns_of_errors, fitted, folded, folded_command};
use super::target::{Target, TargetArgs};

/// How the command answers, which servers it asks, and what counts as overdue.
#[derive(Debug, clap::Args)]
pub(crate) struct OperateArgs {
    /// Print one JSON document instead of text.
    #[arg(long)]
    pub(super) json: bool,
    /// How long after a publish its acknowledgement is overdue.
    #[arg(long, env = "REGISTRATION_OVERDUE", default_value = "30s", value_name = "DURATION",
        value_parser = duration)]
    registration_overdue: Duration,
    #[command(flatten)]
    target: TargetArgs,
}

/// Why something is changed and by whom, or that nothing is to be changed.
#[derive(Debug, clap::Args)]
pub(crate) struct ChangeArgs {
    /// Why. Kept with every change.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    pub(super) actor: ActorArgs,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl ChangeArgs {
    /// Whether a reason is given.
    pub(super) fn says_why(&self) -> bool {
        self.said().is_some()
    }

    /// The reason as it is recorded.
    pub(super) fn reason(&self) -> String {
        self.said().unwrap_or("not given").to_owned()
    }

    fn said(&self) -> Option<&str> {
        self.reason.as_deref().map(str::trim).filter(|text| !text.is_empty())
    }
}

/// A duration as it is written on the command line.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write 90s, 5m or 2h"))
}

/// Connects and works. A server that is away is said, and is exit code 69.
pub(crate) fn run(
    args: OperateArgs,
    work: impl AsyncFnOnce(&Operator) -> Result<u8, OperatorError>,
) -> anyhow::Result<ExitCode> {
    let overdue = args.registration_overdue;
    let Target { mongo, broker, temporal, .. } = args.target.connect()?;
    let worked = tokio::runtime::Runtime::new()?.block_on(async {
        let operator = Operator::connect(&mongo, &broker, &temporal, overdue).await?;
        work(&operator).await
    });
    Ok(ExitCode::from(worked.unwrap_or_else(|error| {
        complain(&told(&error));
        exit::UNAVAILABLE
    })))
}

/// To standard output. A reader that went away needs no answer.
pub(crate) fn print(text: &str) {
    write!(std::io::stdout().lock(), "{text}").ok();
}

/// Sentences to standard output; those that do not fit are folded.
pub(crate) fn say(text: &str) {
    print(&fitted(text, columns()));
}

/// To standard error.
pub(crate) fn complain(text: &str) {
    let text = folded(&format!("onboard: {text}"), 2, columns_of_errors());
    writeln!(std::io::stderr().lock(), "{text}").ok();
}

/// A document that cannot be read.
pub(crate) fn unread(document: &Unreadable) -> Value {
    json!({ "id": document.id, "why": document.why.to_string() })
}

/// An age in its largest unit.
pub(crate) fn age(ms: i64) -> String {
    let s = ms / 1_000;
    match s {
        0..=99 => format!("{s}s"),
        100..=5_999 => format!("{}m", s / 60),
        6_000..=172_799 => format!("{}h", s / 3_600),
        _ => format!("{}d", s / 86_400),
    }
}

/// The columns of a heading and the space behind it.
const HEADING: usize = 14;

/// A heading of 13 columns and words that fill the rest of the line.
pub(crate) fn wrapped(heading: &str, words: &str) -> String {
    format!("{heading:<13} {}", folded(words, HEADING, columns()))
}

/// The same for a command, which the shell takes as it stands there.
pub(crate) fn wrapped_command(heading: &str, command: &str) -> String {
    format!("{heading:<13} {}", folded_command(command, HEADING, columns()))
}

/// Words on lines that begin with this indent.
pub(crate) fn indented(words: &str, indent: usize) -> String {
    format!("{:indent$}{}", "", folded(words, indent, columns()))
}

/// A command on lines that begin with this indent.
pub(crate) fn indented_command(command: &str, indent: usize) -> String {
    format!("{:indent$}{}", "", folded_command(command, indent, columns()))
}
