//! Settings of the worker.

use std::net::SocketAddr;
use std::time::Duration;

use onboard_broker::{BrokerArgs, BrokerConfig};
use onboard_http::{ManagementArgs, ManagementConfig};
use onboard_mongo::{MongoArgs, MongoConfig, refuse_in_production};
use onboard_outbox::{ExtraConsumersArgs, OutboxArgs, OutboxConfig};
use onboard_runtime::{EnvironmentArgs, Problems, Service as _};
use onboard_temporal::{TemporalArgs, TemporalConfig};
use onboard_todo::TodoDatabaseArgs;

use crate::Worker;
use crate::deployment::{Deployment, DeploymentArgs};

/// Settings of the worker as text.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct WorkerArgs {
    /// Address of health and metrics. Default: `0.0.0.0:4004`.
    #[arg(long, env = "ONBOARD_HTTP_ADDRESS")]
    pub http_address: Option<String>,
    #[command(flatten)]
    /// A second address for health and metrics.
    pub management: ManagementArgs,
    /// How long an activity looks for the outbox row of its workflow before the row
    /// counts as missing and the workflow fails (0 s to 24 h). Default: 10m.
    #[arg(long, env = "OUTBOX_ROW_MISSING_AFTER")]
    pub outbox_row_missing_after: Option<String>,
    #[command(flatten)]
    /// Where it runs.
    pub environment: EnvironmentArgs,
    #[command(flatten)]
    /// MongoDB.
    pub mongo: MongoArgs,
    #[command(flatten)]
    /// The outbox there.
    pub outbox: OutboxArgs,
    #[command(flatten)]
    /// Where the todo service has its inbox, into which runs of released builds look.
    pub todo: TodoDatabaseArgs,
    #[command(flatten)]
    /// RabbitMQ.
    pub broker: BrokerArgs,
    #[command(flatten)]
    /// Whose queues it declares and watches.
    pub consumers: ExtraConsumersArgs,
    #[command(flatten)]
    /// Temporal.
    pub temporal: TemporalArgs,
    #[command(flatten)]
    /// Its build, for worker versioning.
    pub deployment: DeploymentArgs,
}

/// Checked settings of the worker.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    pub(crate) http_address: SocketAddr,
    pub(crate) management: ManagementConfig,
    pub(crate) row_missing_after: Duration,
    pub(crate) outbox: OutboxConfig,
    pub(crate) todo: MongoConfig,
    pub(crate) broker: BrokerConfig,
    pub(crate) temporal: TemporalConfig,
    /// `None`: not versioned.
    pub(crate) deployment: Option<Deployment>,
}

impl WorkerArgs {
    /// Checks all settings.
    pub fn check(self, problems: &mut Problems) -> Option<WorkerConfig> {
        let http_address = problems.parse_or(
            "ONBOARD_HTTP_ADDRESS",
            self.http_address.as_deref(),
            SocketAddr::from(([0, 0, 0, 0], Worker::PORT)),
        );
        let row_missing_after = problems.duration_or(
            "OUTBOX_ROW_MISSING_AFTER",
            self.outbox_row_missing_after.as_deref(),
            Duration::from_mins(10),
            Duration::ZERO..=Duration::from_hours(24),
        );
        let collection = self.outbox.collection(problems);
        let databases = [self.outbox.database(), self.todo.settings()];
        let mongo = self.mongo.check(databases, problems);
        let topology = onboard_events::topology(&self.consumers.check(problems));
        let broker = self.broker.check(topology, problems);
        let temporal = self.temporal.check(problems);
        let deployment = self.deployment.check(problems);
        let environment = self.environment.check(problems);
        let has_api = Worker::MANAGEMENT_PORT.is_some();
        let management = self.management.check(environment, has_api, http_address, problems);
        if environment.is_production() {
            if let Some([outbox, todo]) = &mongo {
                refuse_in_production(&[outbox, todo], problems);
            }
            if let Some(broker) = &broker {
                broker.refuse_in_production(problems);
            }
        }
        let exposures = mongo.iter().flatten().map(MongoConfig::exposure);
        let exposures = exposures.chain([
            broker.as_ref().and_then(BrokerConfig::exposure),
            temporal.as_ref().and_then(TemporalConfig::exposure),
        ]);
        self.environment.protection(environment, problems).demand(exposures, problems);
        mongo.zip(broker).zip(temporal).map(|(([mongo, todo], broker), temporal)| WorkerConfig {
            http_address,
            management,
            row_missing_after,
            outbox: OutboxConfig { mongo, collection },
            todo,
            broker,
            temporal,
            deployment,
        })
    }
}
