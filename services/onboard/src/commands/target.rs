//! Which system a tool acts on: the servers that the settings name, else those
//! of the `onboard up` that runs on the home.

use std::path::PathBuf;

use onboard_broker::{BrokerArgs, BrokerConfig};
use onboard_events::ExtraConsumers;
use onboard_ops::{DatabasesArgs, DatabasesConfig};
use onboard_runtime::telemetry::{self, LogFormat};
use onboard_runtime::{ConfigError, Environment, EnvironmentArgs, Exposure, Problems};
use onboard_stack::Home;
use onboard_stack::ports::Ports;
use onboard_temporal::{TemporalArgs, TemporalConfig};

use super::control::HomeArg;

/// What `--verbose` logs: the chains of errors, and what libraries warn of.
pub(crate) const VERBOSE: &str = "warn,onboard=debug";

pub(crate) const INSTEAD: &str = "run the tool where one runs, or name the servers";

/// Where the servers are.
#[derive(Debug, clap::Args)]
pub(crate) struct TargetArgs {
    #[command(flatten)]
    home: HomeArg,
    #[command(flatten)]
    environment: EnvironmentArgs,
    #[command(flatten)]
    mongo: DatabasesArgs,
    #[command(flatten)]
    broker: BrokerArgs,
    #[command(flatten)]
    temporal: TemporalArgs,
    #[command(flatten)]
    log: ToolLogArgs,
}

/// What a tool logs beside its answer.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Logs")]
pub(crate) struct ToolLogArgs {
    /// Also say to standard error what the libraries say of an error.
    #[arg(long, short)]
    verbose: bool,
    /// What is logged to standard error, as `tracing` filter directives.
    /// Default: nothing; with --verbose `warn,onboard=debug`.
    #[arg(long, env = "RUST_LOG")]
    log_filter: Option<String>,
}

impl ToolLogArgs {
    /// Installs the logs: a tool's output is its answer alone, unless somebody asks.
    pub(crate) fn install(&self) {
        let usual = if self.verbose { VERBOSE } else { telemetry::SILENT };
        let filter = self.log_filter.as_deref().unwrap_or(usual);
        telemetry::install(LogFormat::Auto, Some(filter));
    }
}

/// The servers a tool acts on.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) mongo: DatabasesConfig,
    pub(crate) broker: BrokerConfig,
    pub(crate) temporal: TemporalConfig,
    pub(crate) environment: Environment,
    /// What the connections lack, allowed or not.
    pub(crate) exposures: Vec<Exposure>,
}

impl TargetArgs {
    /// Checks the settings and installs the logs.
    ///
    /// # Errors
    /// They are not usable, or there are none and no `onboard up` runs.
    pub(crate) fn connect(self) -> Result<Target, ConfigError> {
        self.connect_with(None)
    }

    /// The same for a tool that has another connection, too.
    ///
    /// # Errors
    /// As for [`Self::connect`].
    pub(crate) fn connect_with(mut self, other: Option<Exposure>) -> Result<Target, ConfigError> {
        let mut problems = Problems::default();
        let named = self.names_a_server();
        let environment = self.environment.check(&mut problems);
        let local = if named { None } else { Home::running(&self.home.home) };
        if !named && local.is_none() {
            let home = self.home.home.display();
            problems.push("ONBOARD_HOME", format!("no `onboard up` runs on {home}; {INSTEAD}"));
        }
        if let Some(ports) = &local {
            self.mongo.mongo.mongodb_uri = Some(ports.mongodb_uri());
            self.broker.amqp_url = Some(ports.amqp_url());
            self.temporal.temporal_address = Some(ports.temporal_address());
        }
        let mongo = self.mongo.check(&mut problems);
        let broker =
            self.broker.check(onboard_events::topology(&ExtraConsumers::default()), &mut problems);
        let temporal = self.temporal.check(&mut problems);
        let mut exposures = vec![
            broker.as_ref().and_then(BrokerConfig::exposure),
            temporal.as_ref().and_then(TemporalConfig::exposure),
            other,
        ];
        exposures.extend(mongo.iter().flat_map(DatabasesConfig::exposures));
        // Databases that share a connection string lack the same.
        exposures.dedup();
        // The servers of `onboard up` are those of the local environment.
        let environment = match &local {
            Some(_) if self.environment.environment.is_none() => Environment::Local,
            _ => environment,
        };
        let protection = self.environment.protection(environment, &mut problems);
        protection.demand(exposures.clone(), &mut problems);
        let target = mongo.zip(broker).zip(temporal).map(|((mongo, broker), temporal)| Target {
            mongo,
            broker,
            temporal,
            environment,
            exposures: exposures.into_iter().flatten().collect(),
        });
        let target = problems.finish(target)?;
        self.log.install();
        Ok(target)
    }

    /// The file of the local stack's secret, where a tool acts on that stack.
    pub(crate) fn local_secret(&self) -> Option<PathBuf> {
        let home = &self.home.home;
        let local = !self.names_a_server() && Home::running(home).is_some();
        local.then(|| Home::secret_of(home))
    }

    /// The ports of the local stack, where a tool acts on that stack.
    pub(crate) fn local_stack(&self) -> Option<Ports> {
        if self.names_a_server() { None } else { Home::running(&self.home.home) }
    }

    fn names_a_server(&self) -> bool {
        self.mongo.names_a_server()
            || self.broker.names_a_server()
            || self.temporal.temporal_address.is_some()
    }
}
