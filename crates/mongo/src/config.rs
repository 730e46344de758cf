//! Where MongoDB is and what the databases are called.

use std::fmt;
use std::path::PathBuf;

use mongodb::options::{ConnectionString, Tls};
use onboard_runtime::{Exposure, Lack, Problems, ServerKind};
use secrecy::{ExposeSecret, SecretString};

/// The setting of the connection string that databases share.
const SHARED: &str = "MONGODB_URI";

/// Settings of the MongoDB connection that all databases share.
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
}

/// The connection string holds a password: never print it.
impl fmt::Debug for MongoArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoArgs").finish_non_exhaustive()
    }
}

/// The settings of one database, named by who owns it.
#[derive(Clone)]
pub struct DatabaseSettings {
    /// The setting of a connection string of its own.
    pub uri_setting: &'static str,
    /// That connection string.
    pub uri: Option<String>,
    /// The file that holds it instead.
    pub uri_file: Option<PathBuf>,
    /// The setting of the database's name.
    pub name_setting: &'static str,
    /// The database's name.
    pub name: Option<String>,
    /// Its name where the setting is not given.
    pub default: &'static str,
}

/// The connection string holds a password: never print it.
impl fmt::Debug for DatabaseSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseSettings").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Where a database is.
#[derive(Debug, Clone)]
pub struct MongoConfig {
    /// The setting of the connection string.
    setting: &'static str,
    pub(crate) uri: SecretString,
    pub(crate) database: String,
}

impl DatabaseSettings {
    /// Whether the database has a connection string of its own.
    #[must_use]
    pub const fn names_a_server(&self) -> bool {
        self.uri.is_some() || self.uri_file.is_some()
    }
}

impl MongoArgs {
    /// Whether a connection string is given.
    #[must_use]
    pub const fn names_a_server(&self) -> bool {
        self.mongodb_uri.is_some() || self.mongodb_uri_file.is_some()
    }

    /// Checks the settings of these databases. The shared connection string is needed
    /// when one of them has none of its own.
    pub fn check<const N: usize>(
        self,
        databases: [DatabaseSettings; N],
        problems: &mut Problems,
    ) -> Option<[MongoConfig; N]> {
        let complete = databases.iter().all(DatabaseSettings::names_a_server);
        let shared = if complete {
            None
        } else {
            uri(problems, SHARED, self.mongodb_uri, self.mongodb_uri_file.as_ref())
        };
        let configs = databases.map(|of| of.check(shared.as_ref(), problems));
        let configs = configs.into_iter().collect::<Option<Vec<MongoConfig>>>()?;
        configs.try_into().ok()
    }
}

impl DatabaseSettings {
    fn check(self, shared: Option<&SecretString>, problems: &mut Problems) -> Option<MongoConfig> {
        let database = name(problems, self.name_setting, self.name.clone(), self.default);
        let (setting, uri) = if self.names_a_server() {
            let own = uri(problems, self.uri_setting, self.uri, self.uri_file.as_ref());
            (self.uri_setting, own)
        } else {
            (SHARED, shared.cloned())
        };
        Some(MongoConfig { setting, uri: uri?, database })
    }
}

impl MongoConfig {
    /// What the connection lacks, if anything. The driver refuses a connection string
    /// that cannot be read, so nothing is said of it.
    #[must_use]
    pub fn exposure(&self) -> Option<Exposure> {
        const ADVICE: &str = "write mongodb://<user>:<password>@<host>/?tls=true, with \
            tlsCAFile=<file> for a CA of your own, or \
            authMechanism=MONGODB-X509&tlsCertificateKeyFile=<file> for a certificate instead \
            of user and password";
        let parsed = ConnectionString::parse(self.uri.expose_secret()).ok()?;
        let transport = match &parsed.tls {
            Some(Tls::Enabled(options)) if options.allow_invalid_certificates == Some(true) => {
                Some(Lack::VerifiedCertificate)
            }
            Some(Tls::Enabled(_)) => None,
            Some(Tls::Disabled) | None => Some(Lack::Tls),
        };
        let unknown = parsed.credential.is_none().then_some(Lack::Authentication);
        let insecure = transport == Some(Lack::VerifiedCertificate);
        let lacks = transport.into_iter().chain(unknown).collect();
        let exposure = Exposure::of(ServerKind::MongoDb, self.setting, lacks, ADVICE)?;
        Some(if insecure { exposure.refused_anyway() } else { exposure })
    }
}

/// Says what of these connection strings may not be used in production. The write
/// concern is majority whatever a connection string says; one that asks for less was
/// written by somebody who believes otherwise.
pub fn refuse_in_production<'a>(configs: &[&'a MongoConfig], problems: &mut Problems) {
    let of = |config: &&'a MongoConfig| {
        let setting = config.setting;
        options(config.uri.expose_secret()).map(move |(name, value)| (setting, name, value))
    };
    let mut all: Vec<(&str, String, &str)> = configs.iter().flat_map(of).collect();
    all.sort();
    all.dedup();
    for (setting, name, value) in all {
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
        problems.push(setting, refused);
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

/// Checks the name of a database or a collection.
pub fn name(
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

#[cfg(test)]
mod tests {
    use super::*;

    fn database(uri: Option<&str>) -> DatabaseSettings {
        DatabaseSettings {
            uri_setting: "OWN_URI",
            uri: uri.map(str::to_owned),
            uri_file: None,
            name_setting: "OWN_DATABASE",
            name: None,
            default: "own",
        }
    }

    fn config(uri: &str) -> MongoConfig {
        let args = MongoArgs { mongodb_uri: Some(uri.to_owned()), ..MongoArgs::default() };
        let [config] = args.check([database(None)], &mut Problems::default()).unwrap();
        config
    }

    fn refused(uri: &str) -> String {
        let mut problems = Problems::default();
        refuse_in_production(&[&config(uri)], &mut problems);
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
    fn a_connection_lacks_what_its_string_leaves_out() {
        let said = |uri: &str| config(uri).exposure().map_or(String::new(), |one| one.to_string());
        for good in [
            "mongodb://u:p@a,b/?replicaSet=rs0&tls=true",
            "mongodb://u:p@a/?ssl=TRUE",
            "mongodb://u:p@a/?TLS=true&tlsAllowInvalidCertificates=false",
            "mongodb://u:p@a/?tlsCAFile=/ca.pem",
            "mongodb+srv://u:p@a.example.com/auth",
            "mongodb://a/?tls=true&authMechanism=MONGODB-X509&tlsCertificateKeyFile=/key.pem",
        ] {
            assert_eq!(said(good), "", "{good}");
        }
        let (tls, user) = ("without TLS", "without authentication");
        let certificate = "without verifying its certificate";
        for (bad, lacks) in [
            ("mongodb://a", vec![tls, user]),
            ("mongodb://127.0.0.1/?replicaSet=rs0", vec![tls, user]),
            ("mongodb://%2Ftmp%2Fmongodb-27017.sock/", vec![tls, user]),
            ("mongodb://u:p@localhost/", vec![tls]),
            ("mongodb://u:p@a/?tls=false", vec![tls]),
            ("mongodb://u:p@a/?tls=%66alse", vec![tls]),
            ("mongodb+srv://u:p@a.example.com/?tls=false", vec![tls]),
            ("mongodb+srv://a.example.com/", vec![user]),
            ("mongodb://a/?tls=true", vec![user]),
            ("mongodb://a/?authMechanism=MONGODB-X509", vec![tls]),
            ("mongodb://u:p@a/?tls=true&tlsAllowInvalidCertificates=true", vec![certificate]),
            ("mongodb://a/?tlsInsecure=true", vec![certificate, user]),
        ] {
            let expected = format!("MongoDB is reached {}", lacks.join(" and "));
            assert_eq!(said(bad), expected, "{bad}");
        }
        assert_eq!(said("mongodb://u:p@a/?tls=maybe"), "", "the driver refuses it");
    }

    #[test]
    fn each_database_may_have_a_connection_string_of_its_own() {
        let check = |shared: Option<&str>, own: [Option<&str>; 2]| {
            let shared = shared.map(str::to_owned);
            let args = MongoArgs { mongodb_uri: shared, ..MongoArgs::default() };
            let mut problems = Problems::default();
            let configs = args.check(own.map(database), &mut problems);
            let configs = problems.finish(configs).map_err(|error| error.to_string())?;
            Ok::<_, String>(configs.map(|config| config.uri.expose_secret().to_owned()))
        };
        let (shared, one, other) = (Some("mongodb://s"), Some("mongodb://a"), Some("mongodb://t"));
        let both = |one: Option<&str>, other: Option<&str>| {
            Ok([one, other].map(|uri| uri.unwrap().to_owned()))
        };
        assert_eq!(check(shared, [None, None]), both(shared, shared));
        assert_eq!(check(shared, [one, None]), both(one, shared));
        assert_eq!(check(None, [one, other]), both(one, other));
        for incomplete in [[one, None], [None, other], [None, None]] {
            let said = check(None, incomplete).unwrap_err();
            assert_eq!(said.matches("MONGODB_URI: is not set").count(), 1, "{said}");
        }
        let said = check(shared, [Some("http://a"), None]).unwrap_err();
        assert!(said.contains("OWN_URI: does not begin"), "{said}");
    }

    #[test]
    fn no_debug_output_and_no_refusal_shows_the_password() {
        let uri = "mongodb://u:hunter2@a/?w=1";
        let args = MongoArgs { mongodb_uri: Some(uri.to_owned()), ..MongoArgs::default() };
        let shown = format!("{args:?} {:?} {}", config(uri), refused(uri));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
