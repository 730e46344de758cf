//! `onboard chaos`: breaks a stack of its own at random, under load, and then
//! proves that nobody was lost.
//!
//! The first Ctrl-C or SIGTERM ends the run without a verdict and stops
//! everything in order, a second one at once; what is frozen is woken to stop.
//! When this process is killed the kernel kills what it started.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use onboard_chaos::stage::Process;
use onboard_chaos::{Live, Plan, Report, Settings, Stage, StageConfig, plan};
use onboard_runtime::exit;
use onboard_stack::Events;
use onboard_stack::display::Display;

use super::place::Place;
use super::signals::Signals;
use crate::services;

/// Arguments of `onboard chaos`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct ChaosArgs {
    /// How long people register and things break.
    #[arg(long, value_name = "N", value_parser = minutes)]
    minutes: f64,
    /// What the faults are drawn from: the same seed breaks the same things at
    /// the same times.
    #[arg(long, value_name = "S")]
    seed: u64,
    /// Registrations a second.
    #[arg(long, value_name = "R", default_value = "10", value_parser = rate)]
    rate: f64,
    /// Faults a minute.
    #[arg(long, value_name = "F", default_value = "20", value_parser = faults)]
    faults_per_minute: f64,
    /// Hash passwords weakly, to leave the CPU to the rest.
    #[arg(long)]
    cheap_hashing: bool,
    /// Run this command as the consumer `crm` of every registration, and break
    /// it too. It is told `AMQP_URL`, `CONSUMER` and `DATABASE`, a file.
    #[arg(long, value_name = "COMMAND")]
    consumer: Option<String>,
    /// Print the plan of faults and do nothing.
    #[arg(long)]
    plan: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
    /// The state directory: missing or empty [default: a new one among the
    /// temporary files].
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
    /// Keep the state directory of a clean run too.
    #[arg(long)]
    keep: bool,
    /// Where downloads are kept [default: the user's cache directory].
    #[arg(long, env = "ONBOARD_CACHE", value_name = "DIR")]
    cache: Option<PathBuf>,
}

fn minutes(text: &str) -> Result<f64, String> {
    between(text, 0.1, 1_440.0)
}

fn rate(text: &str) -> Result<f64, String> {
    between(text, 0.1, 200.0)
}

fn faults(text: &str) -> Result<f64, String> {
    between(text, 0.0, 120.0)
}

fn between(text: &str, low: f64, high: f64) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (low..=high).contains(&number) {
        return Ok(number);
    }
    Err(format!("must lie between {low} and {high}"))
}

impl ChaosArgs {
    fn processes(&self) -> Vec<Process> {
        Process::pairs(&services::of_the_stack(), self.cheap_hashing)
    }

    fn settings(&self) -> Settings {
        Settings {
            seed: self.seed,
            length: Duration::from_secs_f64(self.minutes * 60.0),
            rate: self.rate,
            faults_per_minute: self.faults_per_minute,
            cheap_hashing: self.cheap_hashing,
            consumer: self.consumer.clone(),
        }
    }
}

/// Runs it, or prints its plan.
pub(crate) fn run(args: &ChaosArgs) -> anyhow::Result<ExitCode> {
    let settings = args.settings();
    if args.plan {
        print_plan(
            &settings.plan(&plan::targets(&args.processes(), args.consumer.is_some())),
            args.json,
        )?;
        return Ok(ExitCode::from(exit::DONE));
    }
    let Some(place) = Place::choose("chaos", args.home.clone())? else {
        say("the home must be missing or empty: a chaos run begins with nothing");
        return Ok(ExitCode::from(exit::USAGE));
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(chaos(args, &settings, &place));
    let clean = matches!(ended, Ok(Ended::Judged(ref report)) if report.clean());
    if clean && !args.keep {
        place.remove();
    } else {
        say(&format!("data and logs are kept in {}", place.dir().display()));
    }
    match ended {
        Ok(Ended::Judged(report)) => {
            print_report(&report, args.json)?;
            Ok(ExitCode::from(if clean { exit::DONE } else { exit::NO }))
        }
        Ok(Ended::Interrupted) => Ok(ExitCode::from(exit::NO)),
        Err(error) => {
            say(&format!("onboard chaos: {error:#}"));
            Ok(ExitCode::from(exit::UNAVAILABLE))
        }
    }
}

enum Ended {
    Judged(Box<Report>),
    Interrupted,
}

async fn chaos(args: &ChaosArgs, settings: &Settings, place: &Place) -> anyhow::Result<Ended> {
    let mut signals = Signals::listen()?;
    let (events, seen) = Events::channel();
    let mut display = Display::new(seen);
    let config = StageConfig {
        home: place.dir().to_owned(),
        exe: std::env::current_exe().context("this program's own file is unknown")?,
        cache: args.cache.clone(),
        people_first: false,
        processes: args.processes(),
        consumer: args.consumer.clone(),
    };
    let stage = tokio::select! {
        prepared = display.during(Stage::prepare(config, events)) => prepared?,
        _ = signals.next() => return Ok(Ended::Interrupted),
    };
    let live = Live::new();
    let work = async {
        display.during(stage.stack().bring_up()).await.context("the stack did not come up")?;
        display.settle();
        drop(display);
        live.phase(&format!(
            "everything is up; it will be broken for {} min (seed {})",
            args.minutes, args.seed
        ));
        onboard_chaos::run(&stage, settings, &live).await
    };
    let ended = tokio::select! {
        report = work => report.map(|report| Ended::Judged(Box::new(report))),
        name = signals.next() => {
            live.phase(&format!("{name}: no verdict; stopping in order, once more stops at once"));
            Ok(Ended::Interrupted)
        }
    };
    live.end();
    signals.drain(stage.stack()).await?;
    ended
}

fn print_plan(plan: &Plan, json: bool) -> anyhow::Result<()> {
    let text = if json {
        serde_json::to_string_pretty(plan)?
    } else {
        let lines: Vec<String> = plan.faults.iter().map(ToString::to_string).collect();
        lines.join("\n")
    };
    print(&text);
    Ok(())
}

fn print_report(report: &Report, json: bool) -> anyhow::Result<()> {
    let text = if json { serde_json::to_string_pretty(report)? } else { report.to_string() };
    print(text.trim_end());
    Ok(())
}

fn print(text: &str) {
    // A reader that went away needs no answer.
    writeln!(std::io::stdout().lock(), "{text}").ok();
}

fn say(line: &str) {
    writeln!(std::io::stderr().lock(), "{line}").ok();
}

#[cfg(test)]
mod tests {
    use super::between;

    #[test]
    fn numbers_out_of_bounds_are_refused() {
        assert_eq!(between("2.5", 0.1, 10.0), Ok(2.5));
        for text in ["0", "11", "NaN", "many", "-1", "inf"] {
            assert!(between(text, 0.1, 10.0).is_err(), "{text}");
        }
    }
}
