//! `onboard audit`: proves or disproves that nobody is lost or served twice.

mod bar;
mod text;
pub(super) mod when;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use onboard_ops::audit::{AuditError, Histories, Options, Report, Sources};
use onboard_runtime::plain::told;
use onboard_runtime::{clock, exit};

use self::when::Since;
use super::columns::columns;
use super::operate::complain;
use super::target::{Target, TargetArgs};

/// Arguments of `onboard audit`.
#[derive(Debug, clap::Args)]
pub(crate) struct AuditArgs {
    /// Registrations younger than this are in flight and not judged.
    #[arg(long, default_value = "60s", value_parser = when::duration, value_name = "DURATION")]
    grace: Duration,
    /// Judge only registrations created since: a duration back from now, such
    /// as `2h`, or a time in UTC, such as `2026-01-31T12:00:00Z`.
    #[arg(long, value_parser = when::since, value_name = "WHEN")]
    since: Option<Since>,
    /// Of how many finished registrations the workflow's history is read:
    /// a number, drawn at random, or `all`.
    #[arg(long, default_value = "100", value_parser = histories, value_name = "N")]
    histories: Histories,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetArgs,
}

fn histories(text: &str) -> Result<Histories, String> {
    match text {
        "all" => Ok(Histories::All),
        number => {
            number.parse().map(Histories::Sample).map_err(|_| "write a number or `all`".to_owned())
        }
    }
}

/// Audits the target and prints the report.
pub(crate) fn run(args: AuditArgs) -> anyhow::Result<ExitCode> {
    let target = args.target.connect()?;
    let options = Options {
        since_ms: args.since.map(|since| since.ms(clock::now_ms())),
        grace: args.grace,
        histories: args.histories,
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let report = match runtime.block_on(audit(&target, &options)) {
        Ok(report) => report,
        Err(error) => {
            let error = told(&error);
            complain(&format!("no verdict: {error}"));
            return Ok(ExitCode::from(exit::UNAVAILABLE));
        }
    };
    print(&report, args.json)?;
    Ok(ExitCode::from(if report.clean() { exit::DONE } else { exit::NO }))
}

async fn audit(target: &Target, options: &Options) -> Result<Report, AuditError> {
    let sources = Sources::connect(&target.mongo, &target.broker, &target.temporal).await?;
    let bar = bar::Bar::new();
    let report = onboard_ops::audit::audit(&sources, options, |progress| bar.show(progress)).await;
    bar.clear();
    report
}

fn print(report: &Report, json: bool) -> anyhow::Result<()> {
    let text = if json {
        serde_json::to_string_pretty(report)? + "\n"
    } else {
        text::of(report, std::io::stdout().is_terminal(), columns())
    };
    // A reader that went away needs no answer.
    std::io::stdout().lock().write_all(text.as_bytes()).ok();
    Ok(())
}
