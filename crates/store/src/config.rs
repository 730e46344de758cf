//! Where MongoDB is and what the databases are called.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use onboard_runtime::Problems;
use secrecy::{ExposeSecret, SecretString};

/// Settings of the MongoDB connection.
#[derive(Clone, Default, clap::Args)]
#[command(next_help_heading = "MongoDB")]
pub struct MongoArgs {
    /// Connection string of a replica set, with credentials if it needs any.
    /// Each database may have one of its own instead. A process opens at most 64
    /// connections to a server, unless `maxPoolSize` says otherwise. Required; no default.
    #[arg(long, env = "MONGODB_URI", hide_env_values = true)]
    pub mongodb_uri: Option<String>,
    /// File that holds the connection string, instead of `MONGODB_URI`.
    #[arg(long, env = "MONGODB_URI_FILE")]
    pub mongodb_uri_file: Option<PathBuf>,
    /// Connection string for the database of users and outbox.
    /// Default: `MONGODB_URI`.
    #[arg(long, env = "AUTH_MONGODB_URI", hide_env_values = true)]
    pub auth_mongodb_uri: Option<String>,
    /// File that holds it, instead of `AUTH_MONGODB_URI`.
    #[arg(long, env = "AUTH_MONGODB_URI_FILE")]
    pub auth_mongodb_uri_file: Option<PathBuf>,
    /// Connection string for the database of todos and inbox.
    /// Default: `MONGODB_URI`.
    #[arg(long, env = "TODO_MONGODB_URI", hide_env_values = true)]
    pub todo_mongodb_uri: Option<String>,
    /// File that holds it, instead of `TODO_MONGODB_URI`.
    #[arg(long, env = "TODO_MONGODB_URI_FILE")]
    pub todo_mongodb_uri_file: Option<PathBuf>,
    /// Database of users and outbox. Default: `auth`.
    #[arg(long, env = "MONGODB_AUTH_DATABASE")]
    pub mongodb_auth_database: Option<String>,
    /// Collection of the outbox in that database. Relay and worker serve one
    /// outbox. Default: `outbox`.
    #[arg(long, env = "OUTBOX_COLLECTION")]
    pub outbox_collection: Option<String>,
    /// Database of todos and inbox. Default: `todo`.
    #[arg(long, env = "MONGODB_TODO_DATABASE")]
    pub mongodb_todo_database: Option<String>,
}

/// The connection string holds a password: never print it.
impl fmt::Debug for MongoArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoArgs").finish_non_exhaustive()
    }
}

/// Checked settings of the MongoDB connection.
#[derive(Debug, Clone)]
pub struct MongoConfig {
    pub(crate) auth_uri: SecretString,
    pub(crate) todo_uri: SecretString,
    pub(crate) auth_database: String,
    pub(crate) outbox_collection: String,
    pub(crate) todo_database: String,
}

impl MongoArgs {
    /// Checks the settings of a process that uses both databases.
    pub fn check(mut self, problems: &mut Problems) -> Option<MongoConfig> {
        let (auth, todo) = (self.auth_uri(problems), self.todo_uri(problems));
        let complete = auth.is_some() && todo.is_some();
        let shared = if complete && !self.names_a_shared_one() {
            None
        } else {
            uri(problems, "MONGODB_URI", self.mongodb_uri.take(), self.mongodb_uri_file.as_ref())
        };
        let (auth, todo) = (auth.or_else(|| shared.clone()), todo.or(shared));
        self.config(auth, todo, problems)
    }

    /// Checks the settings of a process that uses the database of users and
    /// outbox alone.
    pub fn check_auth(mut self, problems: &mut Problems) -> Option<MongoConfig> {
        let auth = self.auth_uri(problems).or_else(|| {
            let file = self.mongodb_uri_file.as_ref();
            uri(problems, "MONGODB_URI", self.mongodb_uri.take(), file)
        });
        let nothing_else = auth.clone();
        self.config(auth, nothing_else, problems)
    }

    /// Checks the settings of a process that uses the database of todos and inbox
    /// alone.
    pub fn check_todo(mut self, problems: &mut Problems) -> Option<MongoConfig> {
        let todo = self.todo_uri(problems).or_else(|| {
            let file = self.mongodb_uri_file.as_ref();
            uri(problems, "MONGODB_URI", self.mongodb_uri.take(), file)
        });
        let nothing_else = todo.clone();
        self.config(nothing_else, todo, problems)
    }

    /// Whether any connection string is given.
    #[must_use]
    pub const fn names_a_server(&self) -> bool {
        self.names_a_shared_one()
            || self.auth_mongodb_uri.is_some()
            || self.auth_mongodb_uri_file.is_some()
            || self.todo_mongodb_uri.is_some()
            || self.todo_mongodb_uri_file.is_some()
    }

    const fn names_a_shared_one(&self) -> bool {
        self.mongodb_uri.is_some() || self.mongodb_uri_file.is_some()
    }

    fn auth_uri(&mut self, problems: &mut Problems) -> Option<SecretString> {
        let (text, file) = (self.auth_mongodb_uri.take(), self.auth_mongodb_uri_file.take());
        let given = text.is_some() || file.is_some();
        if given { uri(problems, "AUTH_MONGODB_URI", text, file.as_ref()) } else { None }
    }

    fn todo_uri(&mut self, problems: &mut Problems) -> Option<SecretString> {
        let (text, file) = (self.todo_mongodb_uri.take(), self.todo_mongodb_uri_file.take());
        let given = text.is_some() || file.is_some();
        if given { uri(problems, "TODO_MONGODB_URI", text, file.as_ref()) } else { None }
    }

    fn config(
        self,
        auth_uri: Option<SecretString>,
        todo_uri: Option<SecretString>,
        problems: &mut Problems,
    ) -> Option<MongoConfig> {
        let auth_database =
            database(problems, "MONGODB_AUTH_DATABASE", self.mongodb_auth_database, "auth");
        let todo_database =
            database(problems, "MONGODB_TODO_DATABASE", self.mongodb_todo_database, "todo");
        let outbox_collection =
            database(problems, "OUTBOX_COLLECTION", self.outbox_collection, "outbox");
        Some(MongoConfig {
            auth_uri: auth_uri?,
            todo_uri: todo_uri?,
            auth_database,
            outbox_collection,
            todo_database,
        })
    }
}

impl MongoConfig {
    /// Says what may not be used in production. The write concern is majority
    /// whatever the connection string says; one that asks for less was written
    /// by somebody who believes otherwise.
    pub fn refuse_in_production(&self, problems: &mut Problems) {
        let both = [&self.auth_uri, &self.todo_uri].map(SecretString::expose_secret);
        let mut all: Vec<(String, &str)> = both.into_iter().flat_map(options).collect();
        all.sort();
        all.dedup();
        for (name, value) in all {
            let refused = match name.as_str() {
                "w" if value != "majority" => "w must be majority in production",
                "journal" | "j" if value != "true" => "journal must be true in production",
                "tlsinsecure" | "tlsallowinvalidcertificates" | "tlsallowinvalidhostnames"
                    if value != "false" =>
                {
                    "certificates must be verified in production"
                }
                _ => continue,
            };
            problems.push("MONGODB_URI", refused);
        }
    }
}

fn uri(
    problems: &mut Problems,
    setting: &str,
    text: Option<String>,
    file: Option<&PathBuf>,
) -> Option<SecretString> {
    let file = file.map(PathBuf::as_path);
    let uri = problems.secret(setting, text.map(SecretString::from), file)?;
    if !is_mongodb_uri(uri.expose_secret()) {
        problems.push(setting, "does not begin with mongodb:// or mongodb+srv://");
    }
    Some(uri)
}

/// The options of a connection string; their names know no case.
fn options(uri: &str) -> impl Iterator<Item = (String, &str)> {
    let query = uri.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split(['&', ';']).filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_ascii_lowercase(), value))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn config(uri: &str) -> MongoConfig {
        let args = MongoArgs { mongodb_uri: Some(uri.to_owned()), ..MongoArgs::default() };
        args.check(&mut Problems::default()).unwrap()
    }

    fn refused(uri: &str) -> String {
        let mut problems = Problems::default();
        config(uri).refuse_in_production(&mut problems);
        problems.finish(Some(())).map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn production_wants_a_majority_a_journal_and_real_certificates() {
        for good in [
            "mongodb://u:p@a,b,c/?replicaSet=rs0",
            "mongodb://a/?w=majority&journal=true&tls=true",
            "mongodb+srv://a/auth?W=majority",
            "mongodb://a",
        ] {
            assert_eq!(refused(good), "", "{good}");
        }
        for (bad, said) in [
            ("mongodb://a/?w=1", "w must be majority"),
            ("mongodb://a/?w=0", "w must be majority"),
            ("mongodb://a/?replicaSet=rs0&W=2", "w must be majority"),
            ("mongodb://a/?journal=false", "journal must be true"),
            ("mongodb://a/?tlsInsecure=true", "certificates must be verified"),
            ("mongodb://a/?tls=true&tlsAllowInvalidCertificates=true", "certificates"),
        ] {
            assert!(refused(bad).contains(&format!("MONGODB_URI: {said}")), "{bad}");
        }
    }

    #[test]
    fn each_database_may_have_a_connection_string_of_its_own() {
        let given = |shared: &str, auth: &str, todo: &str| {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            MongoArgs {
                mongodb_uri: some(shared),
                auth_mongodb_uri: some(auth),
                todo_mongodb_uri: some(todo),
                ..MongoArgs::default()
            }
        };
        let check = |args: MongoArgs, auth_alone: bool| {
            let mut problems = Problems::default();
            let config =
                if auth_alone { args.check_auth(&mut problems) } else { args.check(&mut problems) };
            let config = problems.finish(config).map_err(|error| error.to_string())?;
            let uris =
                [&config.auth_uri, &config.todo_uri].map(|uri| uri.expose_secret().to_owned());
            Ok::<_, String>(uris)
        };
        let (shared, auth, todo) = ("mongodb://s", "mongodb://a", "mongodb://t");
        let both = |one: &str, other: &str| Ok([one.to_owned(), other.to_owned()]);
        assert_eq!(check(given(shared, "", ""), false), both(shared, shared));
        assert_eq!(check(given(shared, auth, ""), false), both(auth, shared));
        assert_eq!(check(given("", auth, todo), false), both(auth, todo));
        assert_eq!(check(given("", auth, ""), true), both(auth, auth));
        for incomplete in [given("", auth, ""), given("", "", todo), given("", "", "")] {
            let said = check(incomplete, false).unwrap_err();
            assert!(said.contains("MONGODB_URI: is not set"), "{said}");
        }
        let said = check(given(shared, "http://a", ""), false).unwrap_err();
        assert!(said.contains("AUTH_MONGODB_URI: does not begin"), "{said}");
    }

    #[test]
    fn no_debug_output_and_no_refusal_shows_the_password() {
        let uri = "mongodb://u:hunter2@a/?w=1";
        let args = MongoArgs { mongodb_uri: Some(uri.to_owned()), ..MongoArgs::default() };
        let shown = format!("{args:?} {:?} {}", config(uri), refused(uri));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
