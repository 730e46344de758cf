//! Settings of the relay.

use std::net::SocketAddr;
use std::time::Duration;

use onboard_contract::workflow::OVERDUE_MS_DEFAULT;
use onboard_http::{ManagementArgs, ManagementConfig};
use onboard_mongo::MongoArgs;
use onboard_outbox::{OutboxArgs, OutboxConfig, outbox_retention};
use onboard_runtime::{EnvironmentArgs, Problems, Service as _};
use onboard_temporal::{DeliveryPlan, DeliveryPlanArgs, TemporalArgs, TemporalConfig};

use crate::Relay;

/// Settings of the relay as text.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct RelayArgs {
    /// Address of health and metrics. Default: `0.0.0.0:4003`.
    #[arg(long, env = "ONBOARD_HTTP_ADDRESS")]
    pub http_address: Option<String>,
    #[command(flatten)]
    /// A second address for health and metrics.
    pub management: ManagementArgs,
    /// Longest wait between two looks at the outbox, should the change stream
    /// stay silent (100 ms to 1 min). Default: 1s.
    #[arg(long, env = "RELAY_SWEEP_INTERVAL")]
    pub relay_sweep_interval: Option<String>,
    /// Workflows started at the same time (1 to 256). Default: 8.
    #[arg(long, env = "RELAY_CONCURRENCY")]
    pub relay_concurrency: Option<String>,
    /// Workflows that are started and not yet SENT at most, all relays together;
    /// beyond it rows wait in the outbox (1 to 100,000). Default: 500.
    #[arg(long, env = "RELAY_UNSENT_MAX")]
    pub relay_unsent_max: Option<String>,
    /// How long a claimed row is left alone, should its relay die (10 s to
    /// 10 min). Default: 15s.
    #[arg(long, env = "RELAY_CLAIM_LEASE")]
    pub relay_claim_lease: Option<String>,
    /// How long after a publish its acknowledgement is overdue (1 s to 1 h).
    /// Default: 30s.
    #[arg(long, env = "REGISTRATION_OVERDUE")]
    pub registration_overdue: Option<String>,
    /// How long a row that was started or sent may be left unacknowledged until
    /// Temporal is asked whether its workflow is there (1 s to 1 d).
    /// Default: 5m.
    #[arg(long, env = "RELAY_REBUILD_AFTER")]
    pub relay_rebuild_after: Option<String>,
    /// Workflows Temporal is asked for, and given back, per second at most, all
    /// relays together (1 to 1,000). Default: 50.
    #[arg(long, env = "RELAY_REBUILD_RATE")]
    pub relay_rebuild_rate: Option<String>,
    /// How long rows that are SENT and acknowledged are kept (7 d to 3650 d).
    /// Default: 90d.
    #[arg(long, env = "OUTBOX_RETENTION")]
    pub outbox_retention: Option<String>,
    #[command(flatten)]
    /// Where it runs.
    pub environment: EnvironmentArgs,
    #[command(flatten)]
    /// How new runs deliver.
    pub plan: DeliveryPlanArgs,
    #[command(flatten)]
    /// MongoDB.
    pub mongo: MongoArgs,
    #[command(flatten)]
    /// The outbox there.
    pub outbox: OutboxArgs,
    #[command(flatten)]
    /// Temporal.
    pub temporal: TemporalArgs,
}

/// Checked settings of the relay.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    pub(crate) http_address: SocketAddr,
    pub(crate) management: ManagementConfig,
    pub(crate) outbox: OutboxConfig,
    pub(crate) temporal: TemporalConfig,
    pub(crate) settings: Settings,
    pub(crate) retention: Duration,
}

/// How the relay goes about its work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) sweep_interval: Duration,
    pub(crate) concurrency: u32,
    pub(crate) unsent_max: u32,
    pub(crate) claim_lease: Duration,
    pub(crate) overdue: Duration,
    pub(crate) rebuild_after: Duration,
    pub(crate) rebuild_rate: u32,
    pub(crate) plan: DeliveryPlan,
}

const SECOND: Duration = Duration::from_secs(1);

impl RelayArgs {
    /// Checks all settings.
    pub fn check(self, problems: &mut Problems) -> Option<RelayConfig> {
        let http_address = problems.parse_or(
            "ONBOARD_HTTP_ADDRESS",
            self.http_address.as_deref(),
            SocketAddr::from(([0, 0, 0, 0], Relay::PORT)),
        );
        let settings = self.settings(problems);
        let retention = outbox_retention(problems, self.outbox_retention.as_deref());
        let outbox = self.outbox.check(self.mongo, problems);
        let temporal = self.temporal.check(problems);
        let environment = self.environment.check(problems);
        let has_api = Relay::MANAGEMENT_PORT.is_some();
        let management = self.management.check(environment, has_api, http_address, problems);
        if let Some(outbox) = outbox.as_ref().filter(|_| environment.is_production()) {
            onboard_mongo::refuse_in_production(&[&outbox.mongo], problems);
        }
        let exposures = [
            outbox.as_ref().and_then(|outbox| outbox.mongo.exposure()),
            temporal.as_ref().and_then(TemporalConfig::exposure),
        ];
        self.environment.protection(environment, problems).demand(exposures, problems);
        outbox.zip(temporal).map(|(outbox, temporal)| RelayConfig {
            http_address,
            management,
            outbox,
            temporal,
            settings,
            retention,
        })
    }

    fn settings(&self, problems: &mut Problems) -> Settings {
        Settings {
            sweep_interval: problems.duration_or(
                "RELAY_SWEEP_INTERVAL",
                self.relay_sweep_interval.as_deref(),
                SECOND,
                SECOND / 10..=SECOND * 60,
            ),
            concurrency: problems.number_or(
                "RELAY_CONCURRENCY",
                self.relay_concurrency.as_deref(),
                8,
                1..=256,
            ),
            unsent_max: problems.number_or(
                "RELAY_UNSENT_MAX",
                self.relay_unsent_max.as_deref(),
                500,
                1..=100_000,
            ),
            claim_lease: problems.duration_or(
                "RELAY_CLAIM_LEASE",
                self.relay_claim_lease.as_deref(),
                SECOND * 15,
                SECOND * 10..=SECOND * 600,
            ),
            overdue: problems.duration_or(
                "REGISTRATION_OVERDUE",
                self.registration_overdue.as_deref(),
                Duration::from_millis(OVERDUE_MS_DEFAULT),
                SECOND..=SECOND * 3600,
            ),
            rebuild_after: problems.duration_or(
                "RELAY_REBUILD_AFTER",
                self.relay_rebuild_after.as_deref(),
                SECOND * 300,
                SECOND..=SECOND * 86_400,
            ),
            rebuild_rate: problems.number_or(
                "RELAY_REBUILD_RATE",
                self.relay_rebuild_rate.as_deref(),
                50,
                1..=1_000,
            ),
            plan: self.plan.check(problems),
        }
    }
}
