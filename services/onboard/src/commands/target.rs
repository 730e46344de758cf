//! Which system a tool acts on: the servers that the settings name, else those
//! of the `onboard up` that runs on the home.

use std::path::PathBuf;

use onboard_broker::{BrokerArgs, BrokerConfig};
use onboard_events::ExtraConsumers;
use onboard_ops::{DatabasesArgs, DatabasesConfig};
use onboard_runtime::telemetry::{self, LogFormat};
use onboard_runtime::{ConfigError, Problems};
use onboard_stack::Home;
use onboard_stack::ports::Ports;
use onboard_temporal::{TemporalArgs, TemporalConfig};

use super::control::HomeArg;

/// What a tool logs, unless `RUST_LOG` says otherwise: its output is the answer.
const LOG_FILTER: &str = "error";

const INSTEAD: &str = "run the tool where one runs, or name the servers";

/// Where the servers are.
#[derive(Debug, clap::Args)]
pub(crate) struct TargetArgs {
    #[command(flatten)]
    home: HomeArg,
    #[command(flatten)]
    mongo: DatabasesArgs,
    #[command(flatten)]
    broker: BrokerArgs,
    #[command(flatten)]
    temporal: TemporalArgs,
    /// What is logged to standard error, as `tracing` filter directives.
    /// Default: `error`.
    #[arg(long, env = "RUST_LOG", help_heading = "Logs")]
    log_filter: Option<String>,
}

/// The servers a tool acts on.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) mongo: DatabasesConfig,
    pub(crate) broker: BrokerConfig,
    pub(crate) temporal: TemporalConfig,
}

impl TargetArgs {
    /// Checks the settings and installs the logs.
    ///
    /// # Errors
    /// They are not usable, or there are none and no `onboard up` runs.
    pub(crate) fn connect(mut self) -> Result<Target, ConfigError> {
        let mut problems = Problems::default();
        let named = self.names_a_server();
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
        let target = mongo.zip(broker).zip(temporal).map(|((mongo, broker), temporal)| Target {
            mongo,
            broker,
            temporal,
        });
        let target = problems.finish(target)?;
        let filter = self.log_filter.as_deref().unwrap_or(LOG_FILTER);
        telemetry::install(LogFormat::Auto, Some(filter));
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
        let (mongo, broker) = (&self.mongo, &self.broker);
        mongo.names_a_server()
            || broker.amqp_url.is_some()
            || broker.amqp_url_file.is_some()
            || self.temporal.temporal_address.is_some()
    }
}
