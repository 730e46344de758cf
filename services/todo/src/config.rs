//! Settings of the todo service.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use onboard_broker::{BrokerArgs, BrokerConfig};
use onboard_events::ExtraConsumers;
use onboard_events::names::TOKEN_ISSUER;
use onboard_http::{Edge, EdgeArgs, ManagementArgs, ManagementConfig};
use onboard_inbox::{SweepSettings, inbox_retention};
use onboard_mongo::{DatabaseSettings, MongoArgs, MongoConfig};
use onboard_outbox::outbox_retention;
use onboard_runtime::cgroup::{self, MemoryNeeds};
use onboard_runtime::{EnvironmentArgs, Problems, Service as _};
use onboard_temporal::{TemporalArgs, TemporalConfig};
use onboard_token::{JwksArgs, JwksConfig, TokenArgs, TokenConfig};

use crate::{Todo, api};

const SECOND: Duration = Duration::from_secs(1);
const PREFETCH: u32 = 256;
const PER_USER_MAX: u32 = 10_000;
/// The program with full tables of limits, and the largest message, in bytes.
const MEMORY_BASE: u64 = 56 * 1024 * 1024;
const MESSAGE_MAX: u64 = 64 * 1024;

/// Settings of the database of todos and inbox.
#[derive(Clone, Default, clap::Args)]
#[command(next_help_heading = "MongoDB")]
pub struct TodoDatabaseArgs {
    /// Connection string for the database of todos and inbox.
    /// Default: `MONGODB_URI`.
    #[arg(long, env = "TODO_MONGODB_URI", hide_env_values = true)]
    pub todo_mongodb_uri: Option<String>,
    /// File that holds it, instead of `TODO_MONGODB_URI`.
    #[arg(long, env = "TODO_MONGODB_URI_FILE")]
    pub todo_mongodb_uri_file: Option<PathBuf>,
    /// Database of todos and inbox. Default: `todo`.
    #[arg(long, env = "MONGODB_TODO_DATABASE")]
    pub mongodb_todo_database: Option<String>,
}

/// The connection string holds a password: never print it.
impl fmt::Debug for TodoDatabaseArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TodoDatabaseArgs").finish_non_exhaustive()
    }
}

impl TodoDatabaseArgs {
    /// The settings of the database.
    #[must_use]
    pub fn settings(self) -> DatabaseSettings {
        DatabaseSettings {
            uri_setting: "TODO_MONGODB_URI",
            uri: self.todo_mongodb_uri,
            uri_file: self.todo_mongodb_uri_file,
            name_setting: "MONGODB_TODO_DATABASE",
            name: self.mongodb_todo_database,
            default: "todo",
        }
    }
}

/// Settings of the todo service as text.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TodoArgs {
    /// Address of HTTP, health and metrics. Default: `0.0.0.0:4002`.
    #[arg(long, env = "ONBOARD_HTTP_ADDRESS")]
    pub http_address: Option<String>,
    #[command(flatten)]
    /// A second address for health and metrics.
    pub management: ManagementArgs,
    /// Messages handled at the same time (1 to 1000). Default: 256.
    #[arg(long, env = "TODO_PREFETCH")]
    pub todo_prefetch: Option<String>,
    /// Wait between two looks for acknowledgements that were not delivered
    /// (100 ms to 10 min). Default: 5s.
    #[arg(long, env = "TODO_SWEEP_INTERVAL")]
    pub todo_sweep_interval: Option<String>,
    /// Age from which an acknowledgement counts as not delivered (0 s to 1 h).
    /// Default: 10s.
    #[arg(long, env = "TODO_SWEEP_AGE")]
    pub todo_sweep_age: Option<String>,
    /// How long inbox records are kept whose outbox row is gone (14 d to
    /// 7300 d, and 7 d longer than `OUTBOX_RETENTION`). Default: 180d.
    #[arg(long, env = "INBOX_RETENTION")]
    pub inbox_retention: Option<String>,
    /// As the relay has it. Default: 90d.
    #[arg(long, env = "OUTBOX_RETENTION")]
    pub outbox_retention: Option<String>,
    /// How many todos a user may have (1 to 1,000,000). Default: 10000.
    #[arg(long, env = "TODOS_PER_USER_MAX")]
    pub todos_per_user_max: Option<String>,
    #[command(flatten)]
    /// Whose tokens are good.
    pub tokens: TokenArgs,
    #[command(flatten)]
    /// The keys that check them.
    pub jwks: JwksArgs,
    #[command(flatten)]
    /// Where it runs.
    pub environment: EnvironmentArgs,
    #[command(flatten)]
    /// The side to the Internet.
    pub edge: EdgeArgs,
    #[command(flatten)]
    /// MongoDB.
    pub mongo: MongoArgs,
    #[command(flatten)]
    /// Its database there.
    pub database: TodoDatabaseArgs,
    #[command(flatten)]
    /// RabbitMQ.
    pub broker: BrokerArgs,
    #[command(flatten)]
    /// Temporal.
    pub temporal: TemporalArgs,
}

/// Checked settings of the todo service.
#[derive(Debug, Clone)]
pub struct TodoConfig {
    pub(crate) http_address: SocketAddr,
    pub(crate) management: ManagementConfig,
    pub(crate) edge: Edge,
    pub(crate) prefetch: u16,
    pub(crate) sweep: SweepSettings,
    pub(crate) retention: Duration,
    pub(crate) per_user_max: u32,
    pub(crate) tokens: TokenConfig,
    pub(crate) jwks: JwksConfig,
    pub(crate) mongo: MongoConfig,
    pub(crate) broker: BrokerConfig,
    pub(crate) temporal: TemporalConfig,
}

impl TodoArgs {
    /// Checks all settings.
    pub fn check(self, problems: &mut Problems) -> Option<TodoConfig> {
        let http_address = problems.parse_or(
            "ONBOARD_HTTP_ADDRESS",
            self.http_address.as_deref(),
            SocketAddr::from(([0, 0, 0, 0], Todo::PORT)),
        );
        let prefetch =
            problems.number_or("TODO_PREFETCH", self.todo_prefetch.as_deref(), PREFETCH, 1..=1000);
        let interval = problems.duration_or(
            "TODO_SWEEP_INTERVAL",
            self.todo_sweep_interval.as_deref(),
            SECOND * 5,
            SECOND / 10..=SECOND * 600,
        );
        let age = problems.duration_or(
            "TODO_SWEEP_AGE",
            self.todo_sweep_age.as_deref(),
            SECOND * 10,
            Duration::ZERO..=SECOND * 3600,
        );
        let outbox = outbox_retention(problems, self.outbox_retention.as_deref());
        let retention = inbox_retention(problems, self.inbox_retention.as_deref(), outbox);
        let per_user_max = problems.number_or(
            "TODOS_PER_USER_MAX",
            self.todos_per_user_max.as_deref(),
            PER_USER_MAX,
            1..=1_000_000,
        );
        let tokens = self.tokens.check(TOKEN_ISSUER, problems);
        let jwks = self.jwks.check(problems);
        let environment = self.environment.check(problems);
        let has_api = Todo::MANAGEMENT_PORT.is_some();
        let management = self.management.check(environment, has_api, http_address, problems);
        let edge = self.edge.check(environment, problems);
        needs(&edge, prefetch).compare(cgroup::memory_max(), problems);
        let mongo = self.mongo.check([self.database.settings()], problems).map(|[mongo]| mongo);
        let broker =
            self.broker.check(onboard_events::topology(&ExtraConsumers::default()), problems);
        let temporal = self.temporal.check(problems);
        if environment.is_production() {
            if let Some(mongo) = &mongo {
                onboard_mongo::refuse_in_production(&[mongo], problems);
            }
            if let Some(broker) = &broker {
                broker.refuse_in_production(problems);
            }
        }
        let exposures = [
            mongo.as_ref().and_then(MongoConfig::exposure),
            broker.as_ref().and_then(BrokerConfig::exposure),
            temporal.as_ref().and_then(TemporalConfig::exposure),
            jwks.as_ref().and_then(JwksConfig::exposure),
        ];
        self.environment.protection(environment, problems).demand(exposures, problems);
        Some(TodoConfig {
            http_address,
            management,
            edge,
            prefetch: u16::try_from(prefetch).ok()?,
            sweep: SweepSettings { interval, age },
            retention,
            per_user_max,
            tokens,
            jwks: jwks?,
            mongo: mongo?,
            broker: broker?,
            temporal: temporal?,
        })
    }
}

/// What a flood may make the process use.
fn needs(edge: &Edge, prefetch: u32) -> MemoryNeeds {
    MemoryNeeds::default()
        .with("the program", MEMORY_BASE)
        .with("TODO_PREFETCH", u64::from(prefetch) * MESSAGE_MAX)
        .with("CONNECTIONS_MAX", edge.memory_max(api::ANSWER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_are_said_at_once() {
        let args = TodoArgs {
            http_address: Some("nowhere".to_owned()),
            todo_prefetch: Some("0".to_owned()),
            todo_sweep_interval: Some("soon".to_owned()),
            inbox_retention: Some("90d".to_owned()),
            todos_per_user_max: Some("0".to_owned()),
            ..TodoArgs::default()
        };
        let mut problems = Problems::default();
        let config = args.check(&mut problems);
        let text = problems.finish(config).unwrap_err().to_string();
        for setting in [
            "ONBOARD_HTTP_ADDRESS",
            "TODO_PREFETCH",
            "TODO_SWEEP_INTERVAL",
            "INBOX_RETENTION: must be at least 7 d longer",
            "TODOS_PER_USER_MAX",
            "JWKS_URL",
            "MONGODB_URI",
            "AMQP_URL",
        ] {
            assert!(text.contains(setting), "{setting}: {text}");
        }
    }
}
