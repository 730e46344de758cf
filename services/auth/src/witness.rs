//! What a security event says of a client: its network, as a keyed hash.
//!
//! Events of one network have the same hash, whichever process wrote them; without
//! `AUTH_SECRET` nobody learns an address from it, not even by trying all there are.

use std::time::Duration;

use onboard_http::limit::{Buckets, NetworkBuckets, Rate};
use onboard_http::{Client, ClientNetwork};
use onboard_runtime::clock::millis;
use onboard_runtime::{Problems, Secret};
use ring::hmac;
use secrecy::ExposeSecret as _;
use tokio::time::Instant;

use crate::store::{By, Witness};

const DAY: Duration = Duration::from_hours(24);
const RETENTION: Duration = DAY.saturating_mul(400);
/// Failed logins that are recorded by a process; the log has all of them. Without a bound
/// whoever sends many would fill the database.
const FAILURES: Rate = Rate::new(1_000, Duration::from_mins(10));
/// Those of them that come from one client network; the networks around it have a multiple.
/// So one that sends many does not keep those of others from being recorded.
const FAILURES_OF_NETWORK: Rate = Rate::new(30, Duration::from_mins(10));

/// Settings of the security events.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Security events")]
pub struct SecurityEventsArgs {
    /// How long a security event is kept that is written from now on (1 d to 3650 d).
    /// Default: 400d.
    #[arg(long, env = "SECURITY_EVENTS_RETENTION", hide_env_values = true)]
    pub security_events_retention: Option<String>,
}

impl SecurityEventsArgs {
    /// Checks the settings.
    pub fn check(&self, problems: &mut Problems) -> Duration {
        problems.duration_or(
            "SECURITY_EVENTS_RETENTION",
            self.security_events_retention.as_deref(),
            RETENTION,
            DAY..=DAY * 3650,
        )
    }
}

/// Says who the clients are.
#[derive(Debug)]
pub(crate) struct Witnesses {
    key: hmac::Key,
    kept_ms: i64,
    failures: Buckets<()>,
    failures_of_networks: NetworkBuckets<()>,
}

/// Why a failed login is not recorded. Each of them is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeftOut {
    /// Its network has had its share.
    Network,
    /// The process has recorded as many as it may.
    Process,
}

impl LeftOut {
    /// As the metric has it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Process => "process",
        }
    }
}

/// The key of networks. With another `AUTH_SECRET` a network has another tag.
fn key(secret: &Secret) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.derive("client networks").current.expose_secret())
}

impl Witnesses {
    pub(crate) fn new(secret: &Secret, kept: Duration) -> Self {
        Self {
            key: key(secret),
            kept_ms: millis(kept),
            failures: Buckets::new(FAILURES),
            failures_of_networks: NetworkBuckets::new(FAILURES_OF_NETWORK),
        }
    }

    /// Of a client.
    pub(crate) fn of(&self, client: Client) -> Witness {
        Witness { by: By::Client { network: self.tag(client.network()) }, kept_ms: self.kept_ms }
    }

    /// The same for a failed login.
    ///
    /// # Errors
    /// Too many were recorded, of its network or of all.
    pub(crate) fn of_failure(&self, client: Client) -> Result<Witness, LeftOut> {
        let now = Instant::now();
        let share = self.failures_of_networks.take(&(), client.network(), now);
        share.map_err(|_| LeftOut::Network)?;
        self.failures.take(&(), now).map_err(|_| LeftOut::Process)?;
        Ok(self.of(client))
    }

    /// The hash of a client's network, as `onboard events` shows it.
    pub(crate) fn network(&self, client: Client) -> String {
        format!("{:032x}", u128::from_be_bytes(self.tag(client.network())))
    }

    fn tag(&self, network: ClientNetwork) -> [u8; 16] {
        let signed = hmac::sign(&self.key, &network.octets());
        let mut tag = [0; 16];
        tag.iter_mut().zip(signed.as_ref()).for_each(|(to, from)| *to = *from);
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onboard_runtime::SecretArgs;

    fn witnesses(secret: &str) -> Witnesses {
        let args = SecretArgs { auth_secret: Some(secret.repeat(32)), ..SecretArgs::default() };
        Witnesses::new(&args.check(&mut Problems::default()).unwrap(), RETENTION)
    }

    fn network(witnesses: &Witnesses, text: &str) -> [u8; 16] {
        witnesses.tag(Client::at(text.parse().unwrap()).network())
    }

    #[test]
    fn a_network_has_one_hash_that_only_the_secret_makes() {
        let (one, restarted, other) = (witnesses("a"), witnesses("a"), witnesses("b"));
        let of_one = network(&one, "2001:db8::1");
        assert_eq!(of_one, network(&restarted, "2001:db8::2"), "the same /64");
        assert_ne!(of_one, network(&one, "2001:db8:0:1::1"));
        assert_ne!(of_one, network(&other, "2001:db8::1"));
        assert_eq!(network(&one, "192.0.2.1"), network(&one, "::ffff:192.0.2.1"));
    }

    #[tokio::test(start_paused = true)]
    async fn failed_logins_that_are_recorded_are_bounded() {
        let witnesses = witnesses("a");
        let failures = |clients: &mut dyn Iterator<Item = [u8; 4]>| {
            let recorded = clients.map(|address| witnesses.of_failure(Client::at(address.into())));
            let (mut all, mut left_out) = (0, Vec::new());
            recorded.for_each(|one| match one {
                Ok(_) => all += 1,
                Err(why) => left_out.push(why),
            });
            (all, left_out)
        };
        let (of_one, left_out) = failures(&mut (0..5_000).map(|_| [192, 0, 2, 1]));
        assert_eq!(of_one, 30);
        assert!(left_out.iter().all(|why| *why == LeftOut::Network));
        let (of_24, _) = failures(&mut (0..=255).cycle().take(5_000).map(|n| [192, 0, 2, n]));
        assert_eq!(of_24, 30 * 16 - 30, "the rest of its /24");
        let (victim, _) = failures(&mut std::iter::once([198, 51, 100, 7]));
        assert_eq!(victim, 1, "another network has its own");
        let (of_all, left_out) =
            failures(&mut (0..=255).cycle().take(5_000).map(|n| [203, n, 1, 1]));
        assert_eq!(of_all, 1_000 - 30 * 16 - 1);
        assert!(left_out.iter().all(|why| *why == LeftOut::Process));
    }
}
