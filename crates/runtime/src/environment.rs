//! Where a process runs: in production, unless it is told otherwise.

use std::str::FromStr;

use crate::{Problems, Protection};

/// Where a process runs. Production refuses what only the local stack may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Environment {
    /// Anything but a developer's machine.
    #[default]
    Production,
    /// The local stack, its containers and the tests.
    Local,
}

/// Settings of the environment.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct EnvironmentArgs {
    /// `production`, which refuses well-known secrets, guest/guest, a write concern that
    /// can lose data, and servers without authentication or TLS, or `local`.
    /// Default: production.
    #[arg(long = "environment", env = "ONBOARD_ENVIRONMENT", help_heading = "Environment")]
    pub environment: Option<String>,
    /// Servers that production may reach without authentication or without TLS, separated
    /// by commas: `mongodb`, `rabbitmq`, `rabbitmq-management`, `temporal`, `jwks`.
    /// Default: none.
    #[arg(long, env = "ALLOW_UNPROTECTED", help_heading = "Environment")]
    pub allow_unprotected: Option<String>,
}

impl FromStr for Environment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "production" => Ok(Self::Production),
            "local" => Ok(Self::Local),
            other => Err(format!("{other:?} is neither production nor local")),
        }
    }
}

impl Environment {
    /// Whether what only the local stack may use is refused.
    #[must_use]
    pub const fn is_production(self) -> bool {
        match self {
            Self::Production => true,
            Self::Local => false,
        }
    }
}

impl EnvironmentArgs {
    /// As the variable or the flag says it.
    #[must_use]
    pub fn local() -> Self {
        Self { environment: Some("local".to_owned()), allow_unprotected: None }
    }

    /// Checks the setting.
    pub fn check(&self, problems: &mut Problems) -> Environment {
        let text = self.environment.as_deref();
        problems.parse_or("ONBOARD_ENVIRONMENT", text, Environment::default())
    }

    /// Which servers may be reached without protection in this environment.
    pub fn protection(&self, environment: Environment, problems: &mut Problems) -> Protection {
        Protection::read(environment, self.allow_unprotected.as_deref(), problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_production_unless_it_is_said_to_be_local() {
        let check = |text: Option<&str>| {
            let mut problems = Problems::default();
            let environment = text.map(str::to_owned);
            let args = EnvironmentArgs { environment, ..EnvironmentArgs::default() };
            let environment = args.check(&mut problems);
            problems.finish(Some(environment)).map_err(|error| error.to_string())
        };
        assert_eq!(check(None), Ok(Environment::Production));
        assert_eq!(check(Some("production")), Ok(Environment::Production));
        assert_eq!(check(Some("local")), Ok(Environment::Local));
        assert!(check(Some("Local")).unwrap_err().contains("ONBOARD_ENVIRONMENT"));
        assert!(check(Some("")).is_err());
    }
}
