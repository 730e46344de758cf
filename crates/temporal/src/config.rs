//! Where Temporal is. Its official variables are read by Temporal's own
//! loader: `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`,
//! `TEMPORAL_TLS_*` (keys and certificates as `*_PATH`), `TEMPORAL_PROFILE`,
//! `TEMPORAL_CONFIG_FILE`. Only `TEMPORAL_API_KEY_FILE` is ours.

use std::fmt;
use std::path::{Path, PathBuf};

use onboard_runtime::{Exposure, Lack, Problems, ServerKind};
use secrecy::{ExposeSecret, SecretString};
use temporalio_client::envconfig::LoadClientConfigProfileOptions;
use temporalio_client::{ClientOptions, ConnectionOptions, GrpcCompression, TlsOptions};

use crate::meter;

/// Settings of the Temporal connection.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Temporal")]
pub struct TemporalArgs {
    /// Address of the frontend, `host:port`. Default: `localhost:7233`.
    #[arg(long, env = "TEMPORAL_ADDRESS")]
    pub temporal_address: Option<String>,
    /// File that holds the API key, instead of `TEMPORAL_API_KEY`; with it the
    /// connection uses TLS.
    #[arg(long, env = "TEMPORAL_API_KEY_FILE")]
    pub temporal_api_key_file: Option<PathBuf>,
    /// Namespace. Default: `default`.
    #[arg(long, env = "TEMPORAL_NAMESPACE")]
    pub temporal_namespace: Option<String>,
    /// Task queue of the registration workflow. Default: `registration`.
    #[arg(long, env = "TEMPORAL_TASK_QUEUE")]
    pub temporal_task_queue: Option<String>,
    /// What stands before the name of a consumer in the name of the task queue on which
    /// the consumer answers whether it has processed an event. For several
    /// installations in one namespace; without it the queue has the consumer's name. Set
    /// the same for the relay and the consumer. Default: none.
    #[arg(long, env = "CONSUMER_TASK_QUEUE_PREFIX")]
    pub consumer_task_queue_prefix: Option<String>,
    /// How long the namespace keeps closed workflows, for example `720h`
    /// (1 d to 365 d). It must outlive the oldest row that can still be
    /// unsent, since reject-duplicate looks no further back. Used by `setup`,
    /// which raises it and never lowers it. Default: 720h.
    #[arg(long, env = "TEMPORAL_RETENTION")]
    pub temporal_retention: Option<String>,
}

/// Checked settings of the Temporal connection.
#[derive(Clone)]
pub struct TemporalConfig {
    pub(crate) connection: ConnectionOptions,
    pub(crate) client: ClientOptions,
    pub(crate) retention: std::time::Duration,
    pub(crate) queue_prefix: String,
    /// The task queue of the registration workflow.
    pub task_queue: String,
}

/// The connection's options hold the API key: never print them.
impl fmt::Debug for TemporalConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TemporalConfig")
            .field("target", &self.connection.target.as_str())
            .field("namespace", &self.client.namespace)
            .field("task_queue", &self.task_queue)
            .finish_non_exhaustive()
    }
}

const TASK_QUEUE: &str = "registration";
const DAY: std::time::Duration = std::time::Duration::from_hours(24);

impl TemporalConfig {
    /// How long the namespace is asked to keep closed workflows.
    #[must_use]
    pub const fn retention(&self) -> std::time::Duration {
        self.retention
    }

    /// What the connection lacks, if anything. The client uses TLS only where the scheme
    /// is `https`, too: `http://` in the address sends an API key in the clear.
    #[must_use]
    pub fn exposure(&self) -> Option<Exposure> {
        const ADVICE: &str = "set TEMPORAL_TLS=true, and TEMPORAL_API_KEY_FILE or \
            TEMPORAL_TLS_CLIENT_CERT_PATH with TEMPORAL_TLS_CLIENT_KEY_PATH, and write the \
            address without http://";
        let ConnectionOptions { target, tls_options, api_key, headers, .. } = &self.connection;
        let tls = tls_options.as_ref().filter(|_| target.scheme() == "https");
        let certificate = tls.is_some_and(|tls| tls.client_tls_options.is_some());
        let header = headers.iter().flatten().any(|(name, value)| {
            name.eq_ignore_ascii_case("authorization") && !value.trim().is_empty()
        });
        let key = api_key.as_ref().is_some_and(|key| !key.trim().is_empty());
        let plain = tls.is_none().then_some(Lack::Tls);
        let unknown = (!(certificate || header || key)).then_some(Lack::Authentication);
        let lacks = plain.into_iter().chain(unknown).collect();
        Exposure::of(ServerKind::Temporal, "TEMPORAL_ADDRESS", lacks, ADVICE)
    }
}

impl TemporalArgs {
    /// Checks the settings.
    pub fn check(self, problems: &mut Problems) -> Option<TemporalConfig> {
        let retention = problems.duration_or(
            "TEMPORAL_RETENTION",
            self.temporal_retention.as_deref(),
            DAY * 30,
            DAY..=DAY * 365,
        );
        let task_queue = self.temporal_task_queue.unwrap_or_else(|| TASK_QUEUE.to_owned());
        if task_queue.is_empty() {
            problems.push("TEMPORAL_TASK_QUEUE", "is empty");
        }
        let queue_prefix = self.consumer_task_queue_prefix.unwrap_or_default();
        let loaded = ClientOptions::load_from_config(LoadClientConfigProfileOptions::default());
        let (mut connection, mut client) = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                problems.push("TEMPORAL_ADDRESS", error);
                return None;
            }
        };
        if let Some(path) = &self.temporal_api_key_file {
            use_key(problems, path, &mut connection);
        }
        if connection.tls_options.is_some() {
            // Also for the default address, which the loader has with `http`. The schemes of
            // HTTP may be changed into each other.
            connection.target.set_scheme("https").ok();
        }
        if let Some(address) = &self.temporal_address {
            match target(address, &connection) {
                Some(url) => connection.target = url,
                None => problems.push("TEMPORAL_ADDRESS", "is not host:port"),
            }
        }
        if let Some(namespace) = self.temporal_namespace {
            client.namespace = namespace;
        }
        connection.connect_timeout = Some(std::time::Duration::from_secs(5));
        connection.metrics_meter = Some(meter::of_client());
        connection.grpc_compression = GrpcCompression::None;
        Some(TemporalConfig { connection, client, retention, queue_prefix, task_queue })
    }
}

/// A key is sent over TLS only.
fn use_key(problems: &mut Problems, path: &Path, connection: &mut ConnectionOptions) {
    let given = connection.api_key.take().map(SecretString::from);
    let key = problems.secret("TEMPORAL_API_KEY", given, Some(path));
    connection.api_key = key.map(|key| key.expose_secret().to_owned());
    connection.tls_options.get_or_insert_with(TlsOptions::default);
}

fn target(address: &str, loaded: &ConnectionOptions) -> Option<temporalio_client::Url> {
    let scheme = loaded.target.scheme();
    let text =
        if address.contains("://") { address.to_owned() } else { format!("{scheme}://{address}") };
    let url: temporalio_client::Url = text.parse().ok()?;
    (url.has_host() && url.port_or_known_default().is_some()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_from_a_file_is_used_over_tls_and_is_not_shown() {
        let file = std::env::temp_dir().join(format!("api-key-{}", std::process::id()));
        std::fs::write(&file, "hunter2\n").unwrap();
        let args = TemporalArgs {
            temporal_address: Some("temporal.example:7233".into()),
            temporal_api_key_file: Some(file.clone()),
            ..TemporalArgs::default()
        };
        let mut problems = Problems::default();
        let shown = format!("{args:?}");
        let config = args.clone().check(&mut problems).unwrap();
        assert_eq!(config.connection.api_key.as_deref(), Some("hunter2"));
        assert!(config.connection.tls_options.is_some());
        assert_eq!(config.connection.target.as_str(), "https://temporal.example:7233/");
        assert!(!format!("{shown} {config:?}").contains("hunter2"));
        std::fs::remove_file(&file).unwrap();
        args.check(&mut problems);
        let text = problems.finish(Some(())).unwrap_err().to_string();
        assert!(text.contains("TEMPORAL_API_KEY_FILE"), "{text}");
    }

    #[test]
    fn a_connection_lacks_tls_or_a_client_that_is_known() {
        let config = |address: &str| {
            let args =
                TemporalArgs { temporal_address: Some(address.into()), ..TemporalArgs::default() };
            args.check(&mut Problems::default()).unwrap()
        };
        let said = |config: &TemporalConfig| {
            config.exposure().map_or(String::new(), |one| one.to_string())
        };
        let plain = config("127.0.0.1:7233");
        let nothing = "Temporal is reached without TLS and without authentication";
        assert_eq!(said(&plain), nothing);
        assert_eq!(said(&config("https://a:7233")), nothing, "the client has no TLS then");
        let tls = |address: &str, options: TlsOptions| {
            let mut config = config(address);
            config.connection.tls_options = Some(options);
            config
        };
        let anonymous = tls("https://a:7233", TlsOptions::default());
        assert_eq!(said(&anonymous), "Temporal is reached without authentication");
        let key = |mut config: TemporalConfig, key: &str| {
            config.connection.api_key = Some(key.to_owned());
            config
        };
        assert_eq!(said(&key(anonymous.clone(), "k")), "");
        assert_eq!(
            said(&key(anonymous.clone(), " ")),
            "Temporal is reached without authentication"
        );
        assert_eq!(said(&key(plain, "k")), "Temporal is reached without TLS");
        let in_the_clear = key(tls("http://a:7233", TlsOptions::default()), "k");
        assert_eq!(said(&in_the_clear), "Temporal is reached without TLS");
        let certificate = temporalio_client::ClientTlsOptions::builder()
            .client_cert(Vec::new())
            .client_private_key(Vec::new())
            .build();
        let known = TlsOptions::builder().client_tls_options(certificate).build();
        assert_eq!(said(&tls("https://a:7233", known)), "");
        let mut header = anonymous;
        let bearer = ("Authorization".to_owned(), "Bearer t".to_owned());
        header.connection.headers = Some([bearer].into());
        assert_eq!(said(&header), "");
    }
}
