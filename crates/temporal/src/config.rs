//! Where Temporal is. Its official variables are read by Temporal's own
//! loader: `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`,
//! `TEMPORAL_TLS_*`, `TEMPORAL_PROFILE`, `TEMPORAL_CONFIG_FILE`.

use onboard_runtime::Problems;
use temporalio_client::envconfig::LoadClientConfigProfileOptions;
use temporalio_client::{ClientOptions, ConnectionOptions, GrpcCompression};

/// Settings of the Temporal connection.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Temporal")]
pub struct TemporalArgs {
    /// Address of the frontend, `host:port`. Default: `localhost:7233`.
    #[arg(long, env = "TEMPORAL_ADDRESS")]
    pub temporal_address: Option<String>,
    /// Namespace. Default: `default`.
    #[arg(long, env = "TEMPORAL_NAMESPACE")]
    pub temporal_namespace: Option<String>,
    /// Task queue of the registration workflow. Default: `registration`.
    #[arg(long, env = "TEMPORAL_TASK_QUEUE")]
    pub temporal_task_queue: Option<String>,
    /// How long the namespace keeps closed workflows, for example `720h`
    /// (1 d to 365 d). It must outlive the oldest row that can still be
    /// unsent, since reject-duplicate looks no further back. Used by `setup`,
    /// which raises it and never lowers it. Default: 720h.
    #[arg(long, env = "TEMPORAL_RETENTION")]
    pub temporal_retention: Option<String>,
}

/// Checked settings of the Temporal connection.
#[derive(Debug, Clone)]
pub struct TemporalConfig {
    pub(crate) connection: ConnectionOptions,
    pub(crate) client: ClientOptions,
    pub(crate) retention: std::time::Duration,
    /// The task queue of the registration workflow.
    pub task_queue: String,
}

const TASK_QUEUE: &str = "registration";
const DAY: std::time::Duration = std::time::Duration::from_hours(24);

impl TemporalConfig {
    /// How long the namespace is asked to keep closed workflows.
    #[must_use]
    pub const fn retention(&self) -> std::time::Duration {
        self.retention
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
        let loaded = ClientOptions::load_from_config(LoadClientConfigProfileOptions::default());
        let (mut connection, mut client) = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                problems.push("TEMPORAL_ADDRESS", error);
                return None;
            }
        };
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
        connection.grpc_compression = GrpcCompression::None;
        Some(TemporalConfig { connection, client, retention, task_queue })
    }
}

fn target(address: &str, loaded: &ConnectionOptions) -> Option<temporalio_client::Url> {
    let scheme = loaded.target.scheme();
    let text =
        if address.contains("://") { address.to_owned() } else { format!("{scheme}://{address}") };
    let url: temporalio_client::Url = text.parse().ok()?;
    (url.has_host() && url.port_or_known_default().is_some()).then_some(url)
}
