//! Where an outbox is, and how long its rows are kept.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use onboard_events::names::OUTBOX_DATABASE;
use onboard_mongo::{DatabaseSettings, MongoArgs, MongoConfig};
use onboard_runtime::Problems;

/// Settings of the outbox and of the database that it shares with its service.
#[derive(Clone, Default, clap::Args)]
#[command(next_help_heading = "MongoDB")]
pub struct OutboxArgs {
    /// Connection string for the database of users and outbox.
    /// Default: `MONGODB_URI`.
    #[arg(long, env = "AUTH_MONGODB_URI", hide_env_values = true)]
    pub auth_mongodb_uri: Option<String>,
    /// File that holds it, instead of `AUTH_MONGODB_URI`.
    #[arg(long, env = "AUTH_MONGODB_URI_FILE")]
    pub auth_mongodb_uri_file: Option<PathBuf>,
    /// Database of users and outbox. Default: `auth`.
    #[arg(long, env = "MONGODB_AUTH_DATABASE")]
    pub mongodb_auth_database: Option<String>,
    /// Collection of the outbox in that database. Relay and worker serve one
    /// outbox. Default: `outbox`.
    #[arg(long, env = "OUTBOX_COLLECTION")]
    pub outbox_collection: Option<String>,
}

/// The connection string holds a password: never print it.
impl fmt::Debug for OutboxArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxArgs").finish_non_exhaustive()
    }
}

/// Where an outbox is.
#[derive(Debug, Clone)]
pub struct OutboxConfig {
    /// Its database.
    pub mongo: MongoConfig,
    /// Its collection.
    pub collection: String,
}

impl OutboxArgs {
    /// Checks the settings of a process that uses the outbox's database alone.
    pub fn check(self, mongo: MongoArgs, problems: &mut Problems) -> Option<OutboxConfig> {
        let collection = self.collection(problems);
        let [mongo] = mongo.check([self.database()], problems)?;
        Some(OutboxConfig { mongo, collection })
    }

    /// The settings of the database.
    #[must_use]
    pub fn database(self) -> DatabaseSettings {
        DatabaseSettings {
            uri_setting: "AUTH_MONGODB_URI",
            uri: self.auth_mongodb_uri,
            uri_file: self.auth_mongodb_uri_file,
            name_setting: "MONGODB_AUTH_DATABASE",
            name: self.mongodb_auth_database,
            default: OUTBOX_DATABASE,
        }
    }

    /// Checks the name of the collection.
    pub fn collection(&self, problems: &mut Problems) -> String {
        onboard_mongo::config::name(
            problems,
            "OUTBOX_COLLECTION",
            self.outbox_collection.clone(),
            "outbox",
        )
    }
}

const DAY: Duration = Duration::from_hours(24);

/// `OUTBOX_RETENTION`: how long rows that are done are kept, 7 d to 3650 d.
/// Below a week an operator could not look into last week's registration.
pub fn outbox_retention(problems: &mut Problems, value: Option<&str>) -> Duration {
    problems.duration_or("OUTBOX_RETENTION", value, DAY * 90, DAY * 7..=DAY * 3650)
}
