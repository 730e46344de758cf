//! `down`, `status`, `stop`, `start`, `kill`: act on a running `onboard up`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;
use onboard_runtime::exit;
use onboard_stack::control::{self, Answer, Request};
use onboard_stack::{Home, Row, Server, State};

mod stages;

use super::operate::{complain, print};
use crate::services::names;

/// Which stack is meant.
#[derive(Debug, clap::Args)]
pub(crate) struct HomeArg {
    /// The state directory of the stack.
    #[arg(long, env = "ONBOARD_HOME", default_value = ".onboard", value_name = "DIR")]
    pub(crate) home: PathBuf,
}

/// Arguments of `onboard down`.
#[derive(Debug, clap::Args)]
pub(crate) struct DownArgs {
    #[command(flatten)]
    home: HomeArg,
}

/// Arguments of `onboard status`.
#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    home: HomeArg,
    /// Print a JSON array instead of a table.
    #[arg(long)]
    json: bool,
}

/// Every component, as `onboard status` names them.
fn components() -> PossibleValuesParser {
    Server::ALL.map(Server::name).into_iter().chain(names()).into()
}

/// Arguments of `onboard stop`, `start` and `kill`.
#[derive(Debug, clap::Args)]
pub(crate) struct ComponentArgs {
    #[command(flatten)]
    home: HomeArg,
    /// Which one.
    #[arg(value_parser = components())]
    component: String,
}

/// Stops the running `up` and waits until it is gone.
pub(crate) fn down(args: &DownArgs) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(async {
        let home = &args.home.home;
        let Some(answer) = control::ask(home, &Request::Down).await? else {
            return Ok(not_running(&args.home));
        };
        if control::gone(home).await {
            print("everything has stopped\n");
            return Ok(ExitCode::from(exit::DONE));
        }
        complain(&format!("process {} has not ended yet", answer.pid));
        Ok(ExitCode::from(exit::NO))
    })
}

/// Shows every component; exit code 1 when one is not ready.
pub(crate) fn status(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let answer = runtime()?.block_on(control::ask(&args.home.home, &Request::Status))?;
    let rows = answer.as_ref().map_or(&[][..], |answer| answer.components.as_slice());
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(rows)?));
    }
    if answer.is_none() {
        return Ok(not_running(&args.home));
    }
    if !args.json {
        print(&table(rows));
        if let Some(ports) = Home::running(&args.home.home) {
            print(&runtime()?.block_on(stages::summary(&ports)));
        }
    }
    let ready = rows.iter().all(|row| row.state == State::Ready);
    Ok(ExitCode::from(if ready { exit::DONE } else { exit::NO }))
}

/// Stops one component gracefully; it stays stopped.
pub(crate) fn stop(args: ComponentArgs) -> anyhow::Result<ExitCode> {
    let ComponentArgs { home, component } = args;
    act(&home, &Request::Stop { component })
}

/// Starts one component and waits until it is ready.
pub(crate) fn start(args: ComponentArgs) -> anyhow::Result<ExitCode> {
    let ComponentArgs { home, component } = args;
    act(&home, &Request::Start { component })
}

/// Sends SIGKILL to one component; it is restarted.
pub(crate) fn kill(args: ComponentArgs) -> anyhow::Result<ExitCode> {
    let ComponentArgs { home, component } = args;
    act(&home, &Request::Kill { component })
}

fn act(home: &HomeArg, request: &Request) -> anyhow::Result<ExitCode> {
    let Some(answer) = runtime()?.block_on(control::ask(&home.home, request))? else {
        return Ok(not_running(home));
    };
    let Answer { error, components, .. } = answer;
    print(&table(&components));
    let Some(error) = error else {
        return Ok(ExitCode::from(exit::DONE));
    };
    complain(&error);
    Ok(ExitCode::from(exit::NO))
}

fn table(rows: &[Row]) -> String {
    let line = |row: &Row| {
        let pid = row.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        format!("{:<10} {:<11} {:>6} {:>8}\n", row.component, row.state, row.port, pid)
    };
    let head = format!("{:<10} {:<11} {:>6} {:>8}\n", "component", "state", "port", "pid");
    std::iter::once(head).chain(rows.iter().map(line)).collect()
}

fn not_running(home: &HomeArg) -> ExitCode {
    complain(&format!("no `onboard up` runs on {}", home.home.display()));
    ExitCode::from(exit::NO)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")
}
