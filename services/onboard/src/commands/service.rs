//! `onboard auth`, `relay`, `worker`, `todo`: one service in this process.
//!
//! Configuration → logs → signals → run → drain. Bad configuration exits with
//! 64 and names every problem.

use std::process::ExitCode;

use onboard_auth::AuthArgs;
use onboard_relay::RelayArgs;
use onboard_runtime::telemetry::{self, LogFormat, TraceArgs};
use onboard_runtime::{ConfigError, Problems, Shutdown, Tasks, exit, lifecycle};
use onboard_todo::TodoArgs;
use onboard_worker::WorkerArgs;

/// How a process logs.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Logs")]
pub(crate) struct LogArgs {
    /// `auto` (JSON on a pipe, pretty on a terminal), `json` or `pretty`.
    /// Default: auto.
    #[arg(long, env = "ONBOARD_LOG_FORMAT")]
    log_format: Option<String>,
    /// What is logged, as `tracing` filter directives. Default: `info`, and
    /// warnings only from Temporal's SDK.
    #[arg(long, env = "RUST_LOG")]
    log_filter: Option<String>,
}

impl LogArgs {
    fn check(&self, problems: &mut Problems) -> LogFormat {
        problems.parse_or("ONBOARD_LOG_FORMAT", self.log_format.as_deref(), LogFormat::Auto)
    }
}

/// A service's settings and what it tells of itself.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ServiceArgs<A: clap::Args> {
    #[command(flatten)]
    settings: A,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    traces: TraceArgs,
}

pub(crate) fn auth(args: ServiceArgs<AuthArgs>) -> anyhow::Result<ExitCode> {
    let ServiceArgs { settings, log, traces } = args;
    run("auth", &log, &traces, |problems| settings.check(problems), onboard_auth::run)
}

pub(crate) fn relay(args: ServiceArgs<RelayArgs>) -> anyhow::Result<ExitCode> {
    let ServiceArgs { settings, log, traces } = args;
    run("relay", &log, &traces, |problems| settings.check(problems), onboard_relay::run)
}

pub(crate) fn worker(args: ServiceArgs<WorkerArgs>) -> anyhow::Result<ExitCode> {
    let ServiceArgs { settings, log, traces } = args;
    run("worker", &log, &traces, |problems| settings.check(problems), onboard_worker::run)
}

pub(crate) fn todo(args: ServiceArgs<TodoArgs>) -> anyhow::Result<ExitCode> {
    let ServiceArgs { settings, log, traces } = args;
    run("todo", &log, &traces, |problems| settings.check(problems), onboard_todo::run)
}

fn run<C, E, F>(
    name: &str,
    log: &LogArgs,
    traces: &TraceArgs,
    check: impl FnOnce(&mut Problems) -> Option<C>,
    service: impl FnOnce(C, Shutdown) -> F,
) -> anyhow::Result<ExitCode>
where
    E: std::error::Error + Send + Sync + 'static,
    F: Future<Output = Result<(), E>>,
{
    let checked = Checked::of(log, |problems| {
        let traces = traces.check(name, problems);
        check(problems).map(|config| (config, traces))
    })?;
    let runtime = tokio::runtime::Runtime::new()?;
    let ran = runtime.block_on(async {
        let (config, traces) = checked.config;
        let filter = log.log_filter.as_deref();
        let spans = telemetry::install_traced(checked.format, filter, &traces)?;
        say(&checked.warnings);
        let shutdown = Shutdown::new();
        lifecycle::listen_for_signals(&Tasks::new(shutdown.clone()))?;
        service(config, shutdown).await.map_err(anyhow::Error::from)?;
        anyhow::Ok(spans)
    });
    // Sends the last spans while the runtime still carries them.
    ran.map(drop)?;
    // What is still running by now has had its time.
    runtime.shutdown_background();
    Ok(ExitCode::from(exit::DONE))
}

/// Checks everything, names every problem, and installs the logs.
pub(crate) fn configure<C>(
    log: &LogArgs,
    check: impl FnOnce(&mut Problems) -> Option<C>,
) -> Result<C, ConfigError> {
    let checked = Checked::of(log, check)?;
    telemetry::install(checked.format, log.log_filter.as_deref());
    say(&checked.warnings);
    Ok(checked.config)
}

/// Settings without a problem.
struct Checked<C> {
    config: C,
    format: LogFormat,
    warnings: Vec<String>,
}

impl<C> Checked<C> {
    fn of(
        log: &LogArgs,
        check: impl FnOnce(&mut Problems) -> Option<C>,
    ) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        let format = log.check(&mut problems);
        let config = check(&mut problems);
        let warnings = problems.take_warnings();
        Ok(Self { config: problems.finish(config)?, format, warnings })
    }
}

fn say(warnings: &[String]) {
    for warning in warnings {
        tracing::warn!(warning, "a setting should be looked at");
    }
}
