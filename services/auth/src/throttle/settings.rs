//! How often one client address may register and log in.

use std::time::Duration;

use onboard_http::Edge;
use onboard_http::limit::Limit;
use onboard_runtime::Problems;

const REGISTER: Limit = Limit::at(30, Duration::from_mins(1));
const LOGIN: Limit = Limit::at(30, Duration::from_secs(30));

const REGISTER_PATHS: &[&str] = &["/api/v1/auth/register"];
const LOGIN_PATHS: &[&str] = &["/api/v1/auth/login", "/api/v1/auth/refresh"];

/// Settings of the limits by client address that auth has of its own.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct ThrottleArgs {
    /// Registrations of one client address, as `30/1m`: 30 at once, and as
    /// many again within a minute; `off` leaves them to `RATE_LIMIT_API`.
    /// Default: 30/1m.
    #[arg(long, env = "RATE_LIMIT_REGISTER")]
    pub rate_limit_register: Option<String>,
    /// Logins and refreshes of one client address, like the one above.
    /// Default: 30/30s.
    #[arg(long, env = "RATE_LIMIT_LOGIN")]
    pub rate_limit_login: Option<String>,
}

impl ThrottleArgs {
    /// Checks the settings and puts the limits on the edge.
    pub fn check(&self, edge: Edge, problems: &mut Problems) -> Edge {
        let register = self.rate_limit_register.as_deref();
        let register = problems.parse_or("RATE_LIMIT_REGISTER", register, REGISTER);
        let login = self.rate_limit_login.as_deref();
        let login = problems.parse_or("RATE_LIMIT_LOGIN", login, LOGIN);
        edge.limit("register-address", REGISTER_PATHS, register).limit(
            "login-address",
            LOGIN_PATHS,
            login,
        )
    }
}
