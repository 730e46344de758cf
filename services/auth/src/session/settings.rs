//! How long tokens and sessions live, and how many a user may have.

use std::time::Duration;

use onboard_runtime::Problems;
use onboard_token::lifetime;

use super::Lifetimes;

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);
const PER_USER_MAX: u32 = 50;

/// Settings of sessions.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Sessions")]
pub struct SessionArgs {
    /// How long an access token is good: `1m` to `15m`. Default: `15m`.
    #[arg(long, env = "ACCESS_TOKEN_LIFETIME", hide_env_values = true)]
    pub access_token_lifetime: Option<String>,
    /// How long a refresh token may stay unused: `5m` to `90d`. Default: `7d`.
    #[arg(long, env = "REFRESH_TOKEN_LIFETIME", hide_env_values = true)]
    pub refresh_token_lifetime: Option<String>,
    /// How long after its use a refresh token is answered again, with the same next
    /// token: `0s` to `1m`. Default: `10s`.
    #[arg(long, env = "REFRESH_TOKEN_GRACE", hide_env_values = true)]
    pub refresh_token_grace: Option<String>,
    /// How long a session lives at most, however often it is refreshed: `5m`
    /// to `365d`. Default: `30d`.
    #[arg(long, env = "SESSION_LIFETIME", hide_env_values = true)]
    pub session_lifetime: Option<String>,
    /// Sessions that a user may have open, 1 to 1000. The login that opens one more ends the
    /// oldest. Default: 50.
    #[arg(long, env = "SESSIONS_PER_USER_MAX", hide_env_values = true)]
    pub sessions_per_user_max: Option<String>,
    /// How often the signing keys are read again: `1s` to `1m`. Default: `10s`.
    #[arg(long, env = "SIGNING_KEYS_REFRESH", hide_env_values = true)]
    pub signing_keys_refresh: Option<String>,
}

/// Checked settings of sessions.
#[derive(Debug, Clone, Copy)]
pub struct SessionConfig {
    pub(crate) access_token: Duration,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) per_user_max: u32,
    pub(crate) keys_refresh: Duration,
}

impl SessionArgs {
    /// Checks the settings.
    pub fn check(&self, problems: &mut Problems) -> SessionConfig {
        let access_token = lifetime(problems, self.access_token_lifetime.as_deref());
        let refresh_token = problems.duration_or(
            "REFRESH_TOKEN_LIFETIME",
            self.refresh_token_lifetime.as_deref(),
            DAY * 7,
            MINUTE * 5..=DAY * 90,
        );
        let grace = problems.duration_or(
            "REFRESH_TOKEN_GRACE",
            self.refresh_token_grace.as_deref(),
            Duration::from_secs(10),
            Duration::ZERO..=MINUTE,
        );
        let session = problems.duration_or(
            "SESSION_LIFETIME",
            self.session_lifetime.as_deref(),
            DAY * 30,
            MINUTE * 5..=DAY * 365,
        );
        let per_user_max = self.sessions_per_user_max.as_deref();
        let per_user_max =
            problems.number_or("SESSIONS_PER_USER_MAX", per_user_max, PER_USER_MAX, 1..=1000);
        let keys_refresh = problems.duration_or(
            "SIGNING_KEYS_REFRESH",
            self.signing_keys_refresh.as_deref(),
            Duration::from_secs(10),
            Duration::from_secs(1)..=MINUTE,
        );
        let lifetimes = Lifetimes { session, refresh_token, grace };
        SessionConfig { access_token, lifetimes, per_user_max, keys_refresh }
    }
}
