//! Who issues tokens, for whom, and for how long.

use std::time::Duration;

use onboard_runtime::Problems;

/// The longest life of a token.
pub const LIFETIME_MAX: Duration = Duration::from_mins(15);
const LIFETIME_MIN: Duration = Duration::from_mins(1);
const NAME_BYTES_MAX: usize = 200;

/// Settings that whoever signs and whoever verifies must share.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Access tokens")]
pub struct TokenArgs {
    /// Who issues the tokens (`iss`). The same for auth and todo. Default:
    /// `onboard-auth`.
    #[arg(long, env = "TOKEN_ISSUER")]
    pub token_issuer: Option<String>,
    /// For whom the tokens are (`aud`). The same for auth and todo. Default:
    /// `onboard`.
    #[arg(long, env = "TOKEN_AUDIENCE")]
    pub token_audience: Option<String>,
}

/// Checked settings of tokens.
#[derive(Debug, Clone)]
pub struct TokenConfig {
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
}

impl TokenArgs {
    /// Checks the settings. `issuer` issues the tokens unless a setting names
    /// another.
    pub fn check(self, issuer: &str, problems: &mut Problems) -> TokenConfig {
        let issuer = name(problems, "TOKEN_ISSUER", self.token_issuer, issuer);
        let audience = name(problems, "TOKEN_AUDIENCE", self.token_audience, "onboard");
        TokenConfig { issuer, audience }
    }
}

fn name(problems: &mut Problems, setting: &str, value: Option<String>, default: &str) -> String {
    let name = value.unwrap_or_else(|| default.to_owned());
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(|b| b.is_ascii_graphic())
    {
        problems.push(setting, format!("must be 1 to {NAME_BYTES_MAX} visible ASCII characters"));
    }
    name
}

/// `ACCESS_TOKEN_LIFETIME`: how long a new token is good, 1 min to 15 min.
pub fn lifetime(problems: &mut Problems, value: Option<&str>) -> Duration {
    let bounds = LIFETIME_MIN..=LIFETIME_MAX;
    problems.duration_or("ACCESS_TOKEN_LIFETIME", value, LIFETIME_MAX, bounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_visible_and_a_life_is_short() {
        let mut problems = Problems::default();
        let args = TokenArgs {
            token_issuer: Some("an issuer".into()),
            token_audience: Some(String::new()),
        };
        args.check("us", &mut problems);
        lifetime(&mut problems, Some("16m"));
        let text = problems.finish(Some(())).unwrap_err().to_string();
        for setting in ["TOKEN_ISSUER", "TOKEN_AUDIENCE", "ACCESS_TOKEN_LIFETIME"] {
            assert!(text.contains(setting), "{text}");
        }
        let config = TokenArgs::default().check("us", &mut Problems::default());
        assert_eq!((&*config.issuer, &*config.audience), ("us", "onboard"));
        assert_eq!(lifetime(&mut Problems::default(), Some("90s")), Duration::from_secs(90));
    }
}
