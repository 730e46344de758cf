//! What a security event says of a client: its network, as a keyed hash.
//!
//! Events of one network have the same hash, whichever process wrote them; without
//! `AUTH_SECRET` nobody learns an address from it, not even by trying all there are.

use std::time::Duration;

use onboard_http::limit::{Buckets, Rate};
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
}

/// The key of networks. With another `AUTH_SECRET` a network has another tag.
fn key(secret: &Secret) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.derive("client networks").current.expose_secret())
}

impl Witnesses {
    pub(crate) fn new(secret: &Secret, kept: Duration) -> Self {
        Self { key: key(secret), kept_ms: millis(kept), failures: Buckets::new(FAILURES) }
    }

    /// Of a client.
    pub(crate) fn of(&self, client: Client) -> Witness {
        Witness { by: By::Client { network: self.tag(client.network()) }, kept_ms: self.kept_ms }
    }

    /// The same for a failed login, unless too many were recorded.
    pub(crate) fn of_failure(&self, client: Client) -> Option<Witness> {
        self.failures.take(&(), Instant::now()).ok().map(|_| self.of(client))
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
        let client = Client::at([192, 0, 2, 1].into());
        let recorded = (0..5_000).filter(|_| witnesses.of_failure(client).is_some()).count();
        assert_eq!(recorded, 1_000);
    }
}
