//! Where RabbitMQ is, how long to wait for it, and what is declared there.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use lapin::uri::{AMQPScheme, AMQPUri, SASLMechanism};
use onboard_contract::Topology;
use onboard_runtime::{Exposure, Lack, Problems, ServerKind};
use secrecy::{ExposeSecret, SecretString};

use crate::nodes::{self, Node};

/// How long a publish waits for its confirm, unless configured. Together with
/// the wait for the connection it must stay under the start-to-close time-out
/// of the publish activity (15 s).
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(5);
/// Seconds between heartbeats, unless the URL says otherwise. Silence for two
/// of them means that the connection is dead.
const HEARTBEAT_S: u16 = 10;
/// RabbitMQ's own limit. A message's headers are one frame, which AMQP cannot split:
/// with a smaller one a message that others may publish ends the connection. lapin
/// keeps room for 64 frames on every connection, that is 8 MiB.
const FRAME_MAX_BYTES: u32 = 128 * 1024;

/// Settings of the RabbitMQ connections.
#[derive(Clone, Default, clap::Args)]
#[command(next_help_heading = "RabbitMQ")]
pub struct BrokerArgs {
    /// URL of RabbitMQ, `amqp://user:password@host:port/vhost` (`amqps` for
    /// TLS); the vhost `/` is written `%2f`. The nodes of a cluster are named as
    /// `host:port,host:port`. A connection that is lost, or does not answer, is
    /// followed by one to the next address. Required; no default.
    #[arg(long, env = "AMQP_URL", hide_env_values = true)]
    pub amqp_url: Option<String>,
    /// File that holds the URL, instead of `AMQP_URL`.
    #[arg(long, env = "AMQP_URL_FILE")]
    pub amqp_url_file: Option<PathBuf>,
    /// How long a publish waits for RabbitMQ's confirm. A duration from 100ms
    /// to 7s, so that it ends before the activity around it does.
    /// Default: `5s`.
    #[arg(long, env = "AMQP_CONFIRM_TIMEOUT")]
    pub amqp_confirm_timeout: Option<String>,
}

impl fmt::Debug for BrokerArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerArgs").finish_non_exhaustive()
    }
}

/// Checked settings of the RabbitMQ connections, with the topology that they declare.
#[derive(Clone)]
pub struct BrokerConfig {
    /// That of the first node.
    pub(crate) uri: AMQPUri,
    pub(crate) nodes: Vec<Node>,
    pub(crate) confirm_timeout: Duration,
    pub(crate) topology: Topology,
}

impl fmt::Debug for BrokerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerConfig")
            .field("nodes", &self.nodes)
            .field("vhost", &self.uri.vhost)
            .finish_non_exhaustive()
    }
}

impl BrokerArgs {
    /// Whether the broker is named.
    #[must_use]
    pub const fn names_a_server(&self) -> bool {
        self.amqp_url.is_some() || self.amqp_url_file.is_some()
    }

    /// Checks the settings. `topology` is what connections declare.
    pub fn check(self, topology: Topology, problems: &mut Problems) -> Option<BrokerConfig> {
        let confirm_timeout = problems.duration_or(
            "AMQP_CONFIRM_TIMEOUT",
            self.amqp_confirm_timeout.as_deref(),
            CONFIRM_TIMEOUT,
            Duration::from_millis(100)..=Duration::from_secs(7),
        );
        let url = problems.secret(
            "AMQP_URL",
            self.amqp_url.map(SecretString::from),
            self.amqp_url_file.as_deref(),
        )?;
        let Some((mut uri, nodes)) = nodes::parse(url.expose_secret()) else {
            // The parser's words are left out: they may repeat the password.
            let why = "is not of the form amqp://user:password@host:port,host:port/vhost";
            problems.push("AMQP_URL", why);
            return None;
        };
        uri.query.heartbeat.get_or_insert(HEARTBEAT_S);
        let frame_max = uri.query.frame_max.unwrap_or(FRAME_MAX_BYTES);
        uri.query.frame_max = Some(frame_max.max(FRAME_MAX_BYTES));
        Some(BrokerConfig { uri, nodes, confirm_timeout, topology })
    }
}

impl BrokerConfig {
    /// The same connection with another topology.
    #[must_use]
    pub fn with(self, topology: Topology) -> Self {
        Self { topology, ..self }
    }

    /// Says what may not be used in production.
    pub fn refuse_in_production(&self, problems: &mut Problems) {
        if self.is_guest() {
            let why = "guest is refused in production, also when no user is named";
            problems.push("AMQP_URL", why);
        }
    }

    /// What the connections lack, if anything. One scheme and one user hold for every
    /// node of the URL.
    #[must_use]
    pub fn exposure(&self) -> Option<Exposure> {
        const ADVICE: &str = "write amqps://<user>:<password>@<host>:5671/<vhost>";
        let tls = (self.uri.scheme != AMQPScheme::AMQPS).then_some(Lack::Tls);
        let anonymous = self.uri.query.auth_mechanism == Some(SASLMechanism::Anonymous);
        let unknown = (anonymous || self.is_guest()).then_some(Lack::Authentication);
        let lacks = tls.into_iter().chain(unknown).collect();
        let exposure = Exposure::of(ServerKind::RabbitMq, "AMQP_URL", lacks, ADVICE)?;
        Some(if self.is_guest() { exposure.refused_anyway() } else { exposure })
    }

    /// Whether it names the user that everybody knows, which is also that of a URL
    /// without one. With EXTERNAL the connection itself says who it is.
    fn is_guest(&self) -> bool {
        let user = &self.uri.authority.userinfo;
        let external = self.uri.query.auth_mechanism == Some(SASLMechanism::External);
        !external && (user.username == "guest" || user.password == "guest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: Option<&str>, timeout: Option<&str>) -> Result<BrokerConfig, String> {
        let args = BrokerArgs {
            amqp_url: url.map(str::to_owned),
            amqp_url_file: None,
            amqp_confirm_timeout: timeout.map(str::to_owned),
        };
        let mut problems = Problems::default();
        let config = args.check(Topology::default(), &mut problems);
        problems.finish(config).map_err(|error| error.to_string())
    }

    #[test]
    fn a_url_gets_a_heartbeat_and_keeps_its_own() {
        let plain = check(Some("amqp://u:p@rabbit:5672/%2f"), None).unwrap();
        assert_eq!((plain.uri.query.heartbeat, plain.uri.vhost.as_str()), (Some(10), "/"));
        assert_eq!(plain.uri.query.frame_max, Some(FRAME_MAX_BYTES));
        let own = "amqp://u:p@rabbit/v?heartbeat=30&frame_max=262144";
        let own = check(Some(own), Some("1s")).unwrap();
        assert_eq!((own.uri.query.heartbeat, own.uri.query.frame_max), (Some(30), Some(262_144)));
        let small = check(Some("amqp://u:p@rabbit/v?frame_max=4096"), None).unwrap();
        assert_eq!(small.uri.query.frame_max, Some(FRAME_MAX_BYTES), "headers must fit");
        assert_eq!(own.confirm_timeout, Duration::from_secs(1));
    }

    #[test]
    fn every_problem_is_said_and_no_password_is() {
        let text = check(Some("http://u:hunter2@rabbit"), Some("9s")).unwrap_err();
        assert!(text.contains("AMQP_URL: is not"), "{text}");
        assert!(text.contains("AMQP_CONFIRM_TIMEOUT: must lie"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        assert!(check(None, None).unwrap_err().contains("AMQP_URL: is not set"));
    }

    #[test]
    fn guest_is_refused_in_production() {
        let refused = |url| {
            let mut problems = Problems::default();
            check(Some(url), None).unwrap().refuse_in_production(&mut problems);
            problems.finish(Some(())).is_err()
        };
        assert!(!refused("amqps://onboard:hunter2@rabbit/v"));
        for url in [
            "amqp://guest:guest@rabbit/%2f",
            "amqp://rabbit/%2f",
            "amqp://onboard:gues%74@rabbit/%2f",
            "amqp://guest:hunter2@rabbit/%2f",
        ] {
            assert!(refused(url), "{url}");
        }
    }

    #[test]
    fn a_connection_lacks_what_its_url_leaves_out() {
        let said = |url| {
            let exposure = check(Some(url), None).unwrap().exposure();
            exposure.map_or(String::new(), |one| one.to_string())
        };
        for good in [
            "amqps://u:p@rabbit/v",
            "amqps://u:p@a:5672,b:5671,[::1]/v",
            "amqps://rabbit/v?auth_mechanism=external",
        ] {
            assert_eq!(said(good), "", "{good}");
        }
        let (tls, user) = ("without TLS", "without authentication");
        for (bad, lacks) in [
            ("amqp://u:p@rabbit/v", vec![tls]),
            ("amqp://u:p@127.0.0.1:5671/v", vec![tls]),
            ("amqp://u:p@a:5671,b:5671/v", vec![tls]),
            ("amqp://rabbit/v?auth_mechanism=external", vec![tls]),
            ("amqp://guest:guest@rabbit/v", vec![tls, user]),
            ("amqps://rabbit/v", vec![user]),
            ("amqps://u:p@rabbit/v?auth_mechanism=ANONYMOUS", vec![user]),
        ] {
            let expected = format!("RabbitMQ is reached {}", lacks.join(" and "));
            assert_eq!(said(bad), expected, "{bad}");
        }
    }

    #[test]
    fn no_debug_output_shows_the_password() {
        let url = "amqp://u:hunter2@rabbit/v";
        let args = BrokerArgs { amqp_url: Some(url.to_owned()), ..BrokerArgs::default() };
        let shown = format!("{args:?} {:?}", check(Some(url), None).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
