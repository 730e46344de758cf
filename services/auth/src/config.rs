//! The settings of the service.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use onboard_contract::workflow::OVERDUE_MS_DEFAULT;
use onboard_events::names::TOKEN_ISSUER;
use onboard_http::{Edge, EdgeArgs, ManagementArgs, ManagementConfig};
use onboard_mongo::MongoArgs;
use onboard_outbox::{OutboxArgs, OutboxConfig};
use onboard_runtime::cgroup::{self, MemoryNeeds};
use onboard_runtime::{EnvironmentArgs, Problems, Secret, SecretArgs, Service as _};
use onboard_token::{TokenArgs, TokenConfig};

use crate::Auth;
use crate::hash::{HashArgs, HashConfig};
use crate::register::{RegisterArgs, RegisterConfig};
use crate::session::{SessionArgs, SessionConfig};
use crate::throttle::ThrottleArgs;
use crate::witness::SecurityEventsArgs;

/// The program with full tables of limits, in bytes.
const MEMORY_BASE: u64 = 64 * 1024 * 1024;
/// More than any of its answers has, in bytes: its lists are short.
const ANSWER_MAX: u64 = 64 * 1024;

/// Settings of the auth service.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct AuthArgs {
    /// Address and port to listen on for HTTP. Default: `0.0.0.0:4001`.
    #[arg(long, env = "ONBOARD_HTTP_ADDRESS", hide_env_values = true)]
    pub http_address: Option<String>,
    /// A second address for health and metrics.
    #[command(flatten)]
    pub management: ManagementArgs,
    /// Time after which a registration that was sent and not acknowledged is
    /// shown as STALLED: `1s` to `1h`. Default: `30s`.
    #[arg(long, env = "REGISTRATION_OVERDUE", hide_env_values = true)]
    pub registration_overdue: Option<String>,
    /// Where it runs.
    #[command(flatten)]
    pub environment: EnvironmentArgs,
    /// The side to the Internet.
    #[command(flatten)]
    pub edge: EdgeArgs,
    /// How often one address may register and log in.
    #[command(flatten)]
    pub throttle: ThrottleArgs,
    /// How a registration is answered.
    #[command(flatten)]
    pub register: RegisterArgs,
    /// How passwords are hashed.
    #[command(flatten)]
    pub hash: HashArgs,
    /// How long sessions live.
    #[command(flatten)]
    pub session: SessionArgs,
    /// What tokens say.
    #[command(flatten)]
    pub token: TokenArgs,
    /// How long security events are kept.
    #[command(flatten)]
    pub security_events: SecurityEventsArgs,
    /// What keys are derived from.
    #[command(flatten)]
    pub secret: SecretArgs,
    /// Where the users are.
    #[command(flatten)]
    pub mongo: MongoArgs,
    /// Where the outbox is, beside them.
    #[command(flatten)]
    pub outbox: OutboxArgs,
}

/// Checked settings of the auth service.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) address: SocketAddr,
    pub(crate) management: ManagementConfig,
    pub(crate) production: bool,
    pub(crate) events_kept: Duration,
    pub(crate) overdue: Duration,
    pub(crate) edge: Edge,
    pub(crate) register: RegisterConfig,
    pub(crate) hash: HashConfig,
    pub(crate) session: SessionConfig,
    pub(crate) token: TokenConfig,
    pub(crate) secret: Secret,
    pub(crate) outbox: OutboxConfig,
}

impl AuthArgs {
    /// Checks the settings.
    pub fn check(self, problems: &mut Problems) -> Option<Config> {
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, Auth::PORT));
        let address = problems.parse_or("ONBOARD_HTTP_ADDRESS", self.http_address.as_deref(), any);
        let overdue = problems.duration_or(
            "REGISTRATION_OVERDUE",
            self.registration_overdue.as_deref(),
            Duration::from_millis(OVERDUE_MS_DEFAULT),
            Duration::from_secs(1)..=Duration::from_hours(1),
        );
        let register = self.register.check(problems);
        let session = self.session.check(problems);
        let events_kept = self.security_events.check(problems);
        let token = self.token.check(TOKEN_ISSUER, problems);
        let environment = self.environment.check(problems);
        let has_api = Auth::MANAGEMENT_PORT.is_some();
        let management = self.management.check(environment, has_api, address, problems);
        let protection = self.environment.protection(environment, problems);
        let edge = self.edge.check(environment, problems);
        let edge = self.throttle.check(edge, problems);
        let secret = self.secret.check(problems);
        let outbox = self.outbox.check(self.mongo, problems);
        if environment.is_production() {
            self.hash.refuse_in_production(problems);
            refuse_in_production(secret.as_ref(), outbox.as_ref(), problems);
        }
        protection.demand([outbox.as_ref().and_then(|outbox| outbox.mongo.exposure())], problems);
        let hash = self.hash.check(problems);
        if let Some(hash) = &hash {
            needs(&edge, hash).compare(cgroup::memory_max(), problems);
        }
        Some(Config {
            address,
            management,
            production: environment.is_production(),
            events_kept,
            overdue,
            edge,
            register,
            hash: hash?,
            session,
            token,
            secret: secret?,
            outbox: outbox?,
        })
    }
}

/// What a flood may make the process use.
fn needs(edge: &Edge, hash: &HashConfig) -> MemoryNeeds {
    MemoryNeeds::default()
        .with("the program", MEMORY_BASE)
        .with("HASH_THREADS x ARGON2_MEMORY_KIB", hash.memory_max())
        .with("CONNECTIONS_MAX", edge.memory_max(ANSWER_MAX))
}

/// Looks at both, so that all problems are told at once.
fn refuse_in_production(
    secret: Option<&Secret>,
    outbox: Option<&OutboxConfig>,
    problems: &mut Problems,
) {
    if let Some(secret) = secret {
        secret.refuse_in_production(problems);
    }
    if let Some(outbox) = outbox {
        onboard_mongo::refuse_in_production(&[&outbox.mongo], problems);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        auth: AuthArgs,
    }

    #[test]
    fn the_defaults_need_only_a_database_and_a_secret() {
        let secret = "s".repeat(32);
        let uri = "mongodb://u:p@localhost/?tls=true";
        let args = ["auth", "--mongodb-uri", uri, "--auth-secret", &secret];
        let cli = Cli::parse_from(args);
        let mut problems = Problems::default();
        let config = cli.auth.check(&mut problems);
        let config = problems.finish(config).unwrap();
        assert_eq!(config.address, "0.0.0.0:4001".parse().unwrap());
        assert_eq!(config.overdue, Duration::from_secs(30));
        assert_eq!(config.session.access_token, Duration::from_mins(15));
        assert_eq!(config.session.lifetimes.session, Duration::from_hours(24) * 30);
    }

    #[test]
    fn every_problem_is_said_at_once() {
        let args = AuthArgs {
            http_address: Some("here".into()),
            management: ManagementArgs { management_address: Some("there".into()) },
            registration_overdue: Some("0s".into()),
            register: RegisterArgs {
                registration_mode: Some("quiet".into()),
                ..RegisterArgs::default()
            },
            hash: HashArgs { hash_queue: Some("many".into()), ..HashArgs::default() },
            session: SessionArgs {
                access_token_lifetime: Some("1h".into()),
                refresh_token_lifetime: Some("1m".into()),
                refresh_token_grace: Some("2m".into()),
                session_lifetime: Some("400d".into()),
                sessions_per_user_max: Some("0".into()),
                signing_keys_refresh: Some("2m".into()),
            },
            security_events: SecurityEventsArgs { security_events_retention: Some("1h".into()) },
            ..AuthArgs::default()
        };
        let mut problems = Problems::default();
        let config = args.check(&mut problems);
        let text = problems.finish(config).unwrap_err().to_string();
        for name in [
            "ONBOARD_HTTP_ADDRESS",
            "ONBOARD_MANAGEMENT_ADDRESS",
            "REGISTRATION_OVERDUE",
            "REGISTRATION_MODE",
            "HASH_QUEUE",
            "ACCESS_TOKEN_LIFETIME",
            "REFRESH_TOKEN_LIFETIME",
            "REFRESH_TOKEN_GRACE",
            "SESSION_LIFETIME",
            "SESSIONS_PER_USER_MAX",
            "SIGNING_KEYS_REFRESH",
            "SECURITY_EVENTS_RETENTION",
            "AUTH_SECRET",
            "MONGODB_URI",
        ] {
            assert!(text.contains(name), "{name}: {text}");
        }
    }
}
