//! The keys that auth publishes, for the services beside it.
//!
//! The keys that were fetched last stay good for `JWKS_KEYS_AGE_MAX` while they cannot be
//! fetched again, and readiness does not ask for them. Later, tokens are answered with
//! 503: a key that was removed since then must not be accepted for ever.
//!
//! The process keeps the keys in memory: when it dies they are fetched again.

mod fetch;
mod pins;
mod trust;

use std::path::PathBuf;
use std::time::Duration;

use axum::http::Uri;
use axum::http::uri::Scheme;
use onboard_runtime::{Exposure, Lack, Metric, Problems, ServerKind};
use rustls::ClientConfig;

use self::fetch::Source;
use self::pins::Pins;
use crate::keys::PublicKeys;

const REFRESH: Duration = Duration::from_mins(1);
const REFRESH_MIN: Duration = Duration::from_secs(1);
/// The longest time after which a new key is known everywhere.
pub const REFRESH_MAX: Duration = Duration::from_mins(5);
/// Longer than a token lives: while auth itself is unavailable, nobody loses one by it.
const AGE_MAX: Duration = Duration::from_hours(1);
const AGE_BOUNDS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(2)..=Duration::from_hours(30 * 24);

/// The metrics of whoever fetches keys.
#[rustfmt::skip]
pub const METRICS: &[Metric] = &[
    Metric::counter("keys_not_pinned_total", &[],
        "Published keys that are not used because JWKS_THUMBPRINTS does not name them, counted at each fetch."),
    Metric::gauge("keys_age_seconds", "seconds", &[],
        "Since the keys of access tokens were last fetched, as of the last try; before the first fetch, since the start."),
    Metric::gauge("keys_age_max_seconds", "seconds", &[],
        "JWKS_KEYS_AGE_MAX: with older keys tokens are answered with 503."),
];

/// Settings of whoever checks tokens with auth's keys.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Access tokens")]
pub struct JwksArgs {
    /// Where auth publishes its keys: `https://<host>/.well-known/jwks.json`, or `http://`,
    /// which production refuses unless `ALLOW_UNPROTECTED` names `jwks`. Redirects are not
    /// followed. Required; no default.
    #[arg(long, env = "JWKS_URL")]
    pub jwks_url: Option<String>,
    /// File with the certificates (PEM) of the CAs that may sign the certificate of
    /// `JWKS_URL`; no others are trusted then. It is read when the process starts.
    /// Default: those of the operating system.
    #[arg(long, env = "JWKS_CA_FILE")]
    pub jwks_ca_file: Option<PathBuf>,
    /// Thumbprints (RFC 7638, SHA-256, base64url) of the keys that may be used, separated
    /// by commas: the `kid` that `onboard keys list` shows. Default: every published key.
    #[arg(long, env = "JWKS_THUMBPRINTS")]
    pub jwks_thumbprints: Option<String>,
    /// How often they are fetched (1s to 5m). Default: 60s.
    #[arg(long, env = "JWKS_REFRESH")]
    pub jwks_refresh: Option<String>,
    /// How long keys that were fetched stay usable while they cannot be fetched again (2s
    /// to 30d, and longer than `JWKS_REFRESH`). Then tokens are answered with 503.
    /// Default: 1h.
    #[arg(long, env = "JWKS_KEYS_AGE_MAX")]
    pub jwks_keys_age_max: Option<String>,
}

/// Checked settings of the keys.
#[derive(Debug, Clone)]
pub struct JwksConfig {
    url: Uri,
    tls: ClientConfig,
    pins: Pins,
    refresh: Duration,
    age_max: Duration,
}

impl JwksArgs {
    /// Checks the settings.
    pub fn check(self, problems: &mut Problems) -> Option<JwksConfig> {
        let (refresh, age_max) = self.times(problems);
        let pins = Pins::read(self.jwks_thumbprints.as_deref(), problems);
        let url = problems.require("JWKS_URL", self.jwks_url)?;
        let Some(url) = parse(&url) else {
            problems.push("JWKS_URL", "must be an https:// or http:// URL without a user");
            return None;
        };
        let secure = url.scheme() == Some(&Scheme::HTTPS);
        let tls = trust::config(secure, self.jwks_ca_file.as_deref(), problems)?;
        Some(JwksConfig { url, tls, pins: pins?, refresh, age_max })
    }

    fn times(&self, problems: &mut Problems) -> (Duration, Duration) {
        let refresh = problems.duration_or(
            "JWKS_REFRESH",
            self.jwks_refresh.as_deref(),
            REFRESH,
            REFRESH_MIN..=REFRESH_MAX,
        );
        let age = self.jwks_keys_age_max.as_deref();
        let age_max = problems.duration_or("JWKS_KEYS_AGE_MAX", age, AGE_MAX, AGE_BOUNDS);
        if age_max <= refresh {
            problems.push("JWKS_KEYS_AGE_MAX", "must be longer than JWKS_REFRESH");
        }
        (refresh, age_max)
    }
}

/// A URL that can be asked. The request would leave out a user and a password.
fn parse(text: &str) -> Option<Uri> {
    let url: Uri = text.parse().ok()?;
    let asked = url.scheme().is_some_and(|one| [Scheme::HTTP, Scheme::HTTPS].contains(one));
    let host = url.host().is_some_and(|host| !host.is_empty());
    let user = url.authority().is_some_and(|authority| authority.as_str().contains('@'));
    (asked && host && !user).then_some(url)
}

impl JwksConfig {
    /// How often the keys are fetched.
    #[must_use]
    pub const fn refresh(&self) -> Duration {
        self.refresh
    }

    /// What the connection lacks, if anything. Whoever can alter what is fetched without
    /// TLS signs tokens. The keys are public, so nobody has to say who fetches them.
    #[must_use]
    pub fn exposure(&self) -> Option<Exposure> {
        const ADVICE: &str =
            "write https://, with JWKS_CA_FILE where the certificate is of a CA of your own";
        let plain = self.url.scheme() != Some(&Scheme::HTTPS);
        let lacks = plain.then_some(Lack::Tls).into_iter().collect();
        Exposure::of(ServerKind::Jwks, "JWKS_URL", lacks, ADVICE)
    }
}

impl PublicKeys {
    /// The keys at the configured URL, called `name` in the log. Let
    /// [`Self::run`] refresh them.
    #[must_use]
    pub fn remote(config: &JwksConfig, name: &'static str) -> Self {
        let source = Source::new(config);
        Self::expiring(name, config.age_max, move || {
            let source = source.clone();
            async move { source.fetch().await.map_err(|error| error.to_string()) }
        })
    }
}

#[cfg(test)]
mod tests;
