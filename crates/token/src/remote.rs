//! The keys that auth publishes, for the services beside it.
//!
//! auth may be down for as long as it likes: the keys that were fetched last
//! stay good, and readiness does not ask for them.

use std::time::Duration;

use onboard_runtime::Problems;
use reqwest::{Client, Response, Url, redirect};

use crate::jwk::JwkSet;
use crate::keys::{KeyRing, PublicKeys};

const FETCH_MAX: Duration = Duration::from_secs(2);
const BYTES_MAX: usize = 64 * 1024;
const REFRESH: Duration = Duration::from_mins(1);
const REFRESH_MIN: Duration = Duration::from_secs(1);
/// The longest time after which a new key is known everywhere.
pub const REFRESH_MAX: Duration = Duration::from_mins(5);

/// Settings of whoever checks tokens with auth's keys.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Access tokens")]
pub struct JwksArgs {
    /// Where auth publishes its keys, on the private network:
    /// `http://<auth>:4001/.well-known/jwks.json`. Required; no default.
    #[arg(long, env = "JWKS_URL")]
    pub jwks_url: Option<String>,
    /// How often they are fetched (1s to 5m). Default: 60s.
    #[arg(long, env = "JWKS_REFRESH")]
    pub jwks_refresh: Option<String>,
}

/// Checked settings of the keys.
#[derive(Debug, Clone)]
pub struct JwksConfig {
    url: Url,
    refresh: Duration,
}

impl JwksArgs {
    /// Checks the settings.
    pub fn check(self, problems: &mut Problems) -> Option<JwksConfig> {
        let refresh = problems.duration_or(
            "JWKS_REFRESH",
            self.jwks_refresh.as_deref(),
            REFRESH,
            REFRESH_MIN..=REFRESH_MAX,
        );
        let url = problems.require("JWKS_URL", self.jwks_url)?;
        match Url::parse(&url) {
            Ok(url) if url.scheme() == "http" && url.has_host() => {
                Some(JwksConfig { url, refresh })
            }
            Ok(_) | Err(_) => {
                problems.push("JWKS_URL", "must be an http:// URL on the private network");
                None
            }
        }
    }
}

impl JwksConfig {
    /// How often the keys are fetched.
    #[must_use]
    pub const fn refresh(&self) -> Duration {
        self.refresh
    }
}

/// The keys were not fetched.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("no answer: {0}")]
    Http(#[source] reqwest::Error),
    #[error("the answer has more than {BYTES_MAX} bytes")]
    TooLarge,
    #[error("the answer is no set of keys")]
    Unreadable,
}

impl PublicKeys {
    /// The keys at the configured URL, called `name` in the log. Let
    /// [`Self::run`] refresh them.
    ///
    /// # Errors
    /// No HTTP client can be made.
    pub fn remote(config: &JwksConfig, name: &'static str) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .timeout(FETCH_MAX)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()?;
        let url = config.url.clone();
        Ok(Self::new(name, move || {
            let (client, url) = (client.clone(), url.clone());
            async move { fetch(&client, url).await.map_err(|error| error.to_string()) }
        }))
    }
}

async fn fetch(client: &Client, url: Url) -> Result<KeyRing, FetchError> {
    let answer = client.get(url).send().await.and_then(Response::error_for_status);
    let mut answer = answer.map_err(FetchError::Http)?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(FetchError::Http)? {
        if body.len() + chunk.len() > BYTES_MAX {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    let set = JwkSet::read(&body).map_err(|_| FetchError::Unreadable)?;
    Ok(KeyRing::from(&set))
}

#[cfg(test)]
mod tests;
