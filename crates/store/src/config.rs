//! Where MongoDB is and what the databases are called.

use std::path::PathBuf;
use std::time::Duration;

use onboard_runtime::Problems;
use secrecy::{ExposeSecret, SecretString};

/// Settings of the MongoDB connection.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "MongoDB")]
pub struct MongoArgs {
    /// Connection string of a replica set, with credentials if it needs any.
    /// Required; no default.
    #[arg(long, env = "MONGODB_URI", hide_env_values = true)]
    pub mongodb_uri: Option<String>,
    /// File that holds the connection string, instead of `MONGODB_URI`.
    #[arg(long, env = "MONGODB_URI_FILE")]
    pub mongodb_uri_file: Option<PathBuf>,
    /// Database of users and outbox. Default: `auth`.
    #[arg(long, env = "MONGODB_AUTH_DATABASE")]
    pub mongodb_auth_database: Option<String>,
    /// Database of todos and inbox. Default: `todo`.
    #[arg(long, env = "MONGODB_TODO_DATABASE")]
    pub mongodb_todo_database: Option<String>,
}

/// Checked settings of the MongoDB connection.
#[derive(Debug, Clone)]
pub struct MongoConfig {
    pub(crate) uri: SecretString,
    pub(crate) auth_database: String,
    pub(crate) todo_database: String,
}

impl MongoArgs {
    /// Checks the settings.
    pub fn check(self, problems: &mut Problems) -> Option<MongoConfig> {
        let uri = problems.secret(
            "MONGODB_URI",
            self.mongodb_uri.map(SecretString::from),
            self.mongodb_uri_file.as_deref(),
        );
        if let Some(uri) = &uri
            && !is_mongodb_uri(uri.expose_secret())
        {
            problems.push("MONGODB_URI", "does not begin with mongodb:// or mongodb+srv://");
        }
        let auth_database =
            database(problems, "MONGODB_AUTH_DATABASE", self.mongodb_auth_database, "auth");
        let todo_database =
            database(problems, "MONGODB_TODO_DATABASE", self.mongodb_todo_database, "todo");
        Some(MongoConfig { uri: uri?, auth_database, todo_database })
    }
}

fn is_mongodb_uri(uri: &str) -> bool {
    uri.starts_with("mongodb://") || uri.starts_with("mongodb+srv://")
}

fn database(
    problems: &mut Problems,
    setting: &str,
    value: Option<String>,
    default: &str,
) -> String {
    let name = value.unwrap_or_else(|| default.to_owned());
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > 63 || !name.chars().all(plain) {
        problems.push(setting, "must be 1 to 63 letters, digits, - or _");
    }
    name
}

const DAY: Duration = Duration::from_hours(24);

/// `OUTBOX_RETENTION`: how long rows that are done are kept, 7 d to 3650 d.
/// Below a week an operator could not look into last week's registration.
pub fn outbox_retention(problems: &mut Problems, value: Option<&str>) -> Duration {
    problems.duration_or("OUTBOX_RETENTION", value, DAY * 90, DAY * 7..=DAY * 3650)
}

/// `INBOX_RETENTION`: how long inbox records are kept, 14 d to 7300 d, and at
/// least a week longer than the rows, which they must outlive.
pub fn inbox_retention(problems: &mut Problems, value: Option<&str>, outbox: Duration) -> Duration {
    let kept = problems.duration_or("INBOX_RETENTION", value, DAY * 180, DAY * 14..=DAY * 7300);
    if kept < outbox + DAY * 7 {
        problems.push("INBOX_RETENTION", "must be at least 7 d longer than OUTBOX_RETENTION");
    }
    kept
}
