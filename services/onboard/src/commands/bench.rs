//! `onboard bench`: the figures of `docs/performance.md`, measured again on a
//! stack of its own.
//!
//! The first Ctrl-C or SIGTERM ends the run without figures and stops
//! everything in order, a second one at once. When this process is killed the
//! kernel kills what it started.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use onboard_bench::{Bed, BedConfig, Report, Scale, Scenario};
use onboard_chaos::Live;
use onboard_runtime::exit;
use onboard_stack::Events;
use onboard_stack::display::Display;

use super::place::Place;
use super::signals::Signals;
use crate::services;

/// Arguments of `onboard bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// What to measure [default: everything]: startup, memory, latency,
    /// register, drain, consume, history, overload, outage.
    scenarios: Vec<Scenario>,
    /// Do a twentieth: shows that it works, and is no measurement.
    #[arg(long)]
    quick: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
    /// The state directory: missing or empty [default: a new one among the
    /// temporary files].
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
    /// Keep the state directory.
    #[arg(long)]
    keep: bool,
    /// Where downloads are kept [default: the user's cache directory].
    #[arg(long, env = "ONBOARD_CACHE", value_name = "DIR")]
    cache: Option<PathBuf>,
}

/// Runs it. Exit code 1 says that a target was not met.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    let Some(place) = Place::choose("bench", args.home.clone())? else {
        say("the home must be missing or empty: a bench run measures a stack of its own");
        return Ok(ExitCode::from(exit::USAGE));
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(bench(args, &place));
    if ended.is_ok() && !args.keep {
        place.remove();
    } else {
        say(&format!("data and logs are kept in {}", place.dir().display()));
    }
    match ended {
        Ok(Some(report)) => {
            print_report(&report, args.json)?;
            let met = report.met() || report.quick || report.debug_build;
            Ok(ExitCode::from(if met { exit::DONE } else { exit::NO }))
        }
        Ok(None) => Ok(ExitCode::from(exit::NO)),
        Err(error) => {
            say(&format!("onboard bench: {error:#}"));
            Ok(ExitCode::from(exit::UNAVAILABLE))
        }
    }
}

/// The report; `None` when it was interrupted.
async fn bench(args: &BenchArgs, place: &Place) -> anyhow::Result<Option<Report>> {
    let mut signals = Signals::listen()?;
    let (events, seen) = Events::channel();
    let mut display = Display::new(seen);
    let config = BedConfig {
        home: place.dir().to_owned(),
        exe: std::env::current_exe().context("this program's own file is unknown")?,
        cache: args.cache.clone(),
        services: services::of_the_stack(),
    };
    let mut bed = tokio::select! {
        prepared = display.during(Bed::prepare(config, events)) => prepared?,
        _ = signals.next() => return Ok(None),
    };
    let live = Live::new();
    let scale = if args.quick { Scale::Quick } else { Scale::Full };
    let all = if args.scenarios.is_empty() { &Scenario::ALL[..] } else { &args.scenarios };
    let work = async {
        display.during(bed.bring_up()).await?;
        display.settle();
        drop(display);
        onboard_bench::run(&bed, all, scale, &live).await
    };
    let ended = tokio::select! {
        report = work => report.map(Some),
        name = signals.next() => {
            live.phase(&format!("{name}: no figures; stopping in order, once more stops at once"));
            Ok(None)
        }
    };
    live.end();
    signals.drain(bed.stage().stack()).await?;
    ended
}

fn print_report(report: &Report, json: bool) -> anyhow::Result<()> {
    let text = if json { serde_json::to_string_pretty(report)? } else { report.to_string() };
    // A reader that went away needs no answer.
    writeln!(std::io::stdout().lock(), "{}", text.trim_end()).ok();
    Ok(())
}

fn say(line: &str) {
    writeln!(std::io::stderr().lock(), "{line}").ok();
}
