//! `onboard auth`, `relay` and so on: one service in this process.
//!
//! Configuration → logs → signals → run → drain. Bad configuration exits with
//! 64 and names every problem.

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args as _, Command, FromArgMatches, Subcommand};
use onboard_runtime::telemetry::{self, LogFormat, TraceArgs};
use onboard_runtime::{ConfigError, Problems, Shutdown, Tasks, descriptors, exit, lifecycle};

use super::operate::complain;
use crate::services::{self, Entry, SERVICES};

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

/// How a service logs and exports traces.
#[derive(Debug, Clone, Default, clap::Args)]
struct LogsAndTraces {
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    traces: TraceArgs,
}

/// The subcommand of one of the services.
pub(crate) struct ServiceCommand {
    service: &'static Entry,
    settings: ArgMatches,
    output: LogsAndTraces,
}

/// The settings hold passwords.
impl std::fmt::Debug for ServiceCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceCommand").field("service", self.service).finish_non_exhaustive()
    }
}

impl FromArgMatches for ServiceCommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let (name, settings) =
            matches.subcommand().ok_or_else(|| clap::Error::new(ErrorKind::MissingSubcommand))?;
        let service =
            services::find(name).ok_or_else(|| clap::Error::new(ErrorKind::InvalidSubcommand))?;
        let output = LogsAndTraces::from_arg_matches(settings)?;
        Ok(Self { service, settings: settings.clone(), output })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for ServiceCommand {
    fn augment_subcommands(program: Command) -> Command {
        let with = |program: Command, service: &Entry| {
            let command = service.augment(Command::new(service.name));
            let command = LogsAndTraces::augment_args(command);
            program.subcommand(command.about(service.about).long_about(None))
        };
        SERVICES.iter().fold(program, with)
    }

    fn augment_subcommands_for_update(program: Command) -> Command {
        Self::augment_subcommands(program)
    }

    fn has_subcommand(name: &str) -> bool {
        services::find(name).is_some()
    }
}

impl ServiceCommand {
    /// Runs the service until a signal ends it. The warnings are those of its start so far.
    pub(crate) fn run(self, warnings: &[String]) -> anyhow::Result<ExitCode> {
        descriptors::raise();
        let Self { service, settings, output: LogsAndTraces { log, traces } } = self;
        let checked = Checked::of(&log, |problems| {
            let traces = traces.check(service.name, problems);
            service.check(&settings, problems).map(|start| (start, traces))
        })?;
        // They hold the secrets as text.
        drop(settings);
        let runtime = tokio::runtime::Runtime::new()?;
        let ran = runtime.block_on(async {
            let (start, traces) = checked.config;
            let filter = log.log_filter.as_deref();
            let spans = telemetry::install_traced(checked.format, filter, &traces)?;
            say(warnings);
            say(&checked.warnings);
            let shutdown = Shutdown::new();
            lifecycle::listen_for_signals(&Tasks::new(shutdown.clone()))?;
            start(shutdown).await?;
            anyhow::Ok(spans)
        });
        // Sends the last spans while the runtime still carries them.
        ran.map(drop)?;
        // What is still running by now has had its time.
        runtime.shutdown_background();
        Ok(ExitCode::from(exit::DONE))
    }
}

/// Checks everything, names every problem, and installs the logs of a tool, which logs
/// this where `RUST_LOG` says nothing.
pub(crate) fn configure<C>(
    log: &LogArgs,
    usual: &str,
    check: impl FnOnce(&mut Problems) -> Option<C>,
) -> Result<C, ConfigError> {
    let checked = Checked::of(log, check)?;
    telemetry::install(checked.format, Some(log.log_filter.as_deref().unwrap_or(usual)));
    for warning in &checked.warnings {
        complain(warning);
    }
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
