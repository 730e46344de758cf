//! The settings of the service.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use onboard_contract::workflow::OVERDUE_MS_DEFAULT;
use onboard_runtime::Problems;
use onboard_store::{MongoArgs, MongoConfig};

use crate::hash::{HashArgs, HashConfig};

/// The port of the contract.
const PORT: u16 = 4001;

/// Settings of the auth service.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct AuthArgs {
    /// Address and port to listen on for HTTP. Default: `0.0.0.0:4001`.
    #[arg(long, env = "ONBOARD_HTTP_ADDRESS", hide_env_values = true)]
    pub http_address: Option<String>,
    /// Time after which a registration that was sent and not acknowledged is
    /// shown as STALLED: `1s` to `1h`. Default: `30s`.
    #[arg(long, env = "REGISTRATION_OVERDUE", hide_env_values = true)]
    pub registration_overdue: Option<String>,
    /// How passwords are hashed.
    #[command(flatten)]
    pub hash: HashArgs,
    /// Where the users are.
    #[command(flatten)]
    pub mongo: MongoArgs,
}

/// Checked settings of the auth service.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) address: SocketAddr,
    pub(crate) overdue: Duration,
    pub(crate) hash: HashConfig,
    pub(crate) mongo: MongoConfig,
}

impl AuthArgs {
    /// Checks the settings.
    pub fn check(self, problems: &mut Problems) -> Option<Config> {
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
        let address = problems.parse_or("ONBOARD_HTTP_ADDRESS", self.http_address.as_deref(), any);
        let overdue = problems.duration_or(
            "REGISTRATION_OVERDUE",
            self.registration_overdue.as_deref(),
            Duration::from_millis(OVERDUE_MS_DEFAULT),
            Duration::from_secs(1)..=Duration::from_hours(1),
        );
        let (hash, mongo) = (self.hash.check(problems), self.mongo.check(problems));
        Some(Config { address, overdue, hash: hash?, mongo: mongo? })
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
    fn the_defaults_need_only_a_database() {
        let cli = Cli::parse_from(["auth", "--mongodb-uri", "mongodb://localhost"]);
        let mut problems = Problems::default();
        let config = cli.auth.check(&mut problems);
        let config = problems.finish(config).unwrap();
        assert_eq!(config.address, "0.0.0.0:4001".parse().unwrap());
        assert_eq!(config.overdue, Duration::from_secs(30));
    }

    #[test]
    fn every_problem_is_said_at_once() {
        let args = AuthArgs {
            http_address: Some("here".into()),
            registration_overdue: Some("0s".into()),
            hash: HashArgs { hash_queue: Some("many".into()), ..HashArgs::default() },
            mongo: MongoArgs::default(),
        };
        let mut problems = Problems::default();
        let config = args.check(&mut problems);
        let text = problems.finish(config).unwrap_err().to_string();
        for name in ["ONBOARD_HTTP_ADDRESS", "REGISTRATION_OVERDUE", "HASH_QUEUE", "MONGODB_URI"] {
            assert!(text.contains(name), "{text}");
        }
    }
}
