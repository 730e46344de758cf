//! Where an audit reads.

use std::time::Duration;

use onboard_broker::BrokerConfig;
use onboard_runtime::{Shutdown, Tasks};
use onboard_temporal::{Temporal, TemporalConfig};
use temporalio_client::Client;

use crate::audit::AuditError;
use crate::{Databases, DatabasesConfig};

/// How long connecting to Temporal may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// The servers of one system.
#[derive(Clone)]
pub struct Sources {
    pub(crate) mongo: Databases,
    pub(crate) broker: BrokerConfig,
    pub(crate) temporal: Client,
    pub(crate) task_queue: String,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").field("task_queue", &self.task_queue).finish_non_exhaustive()
    }
}

impl Sources {
    /// Connects. Several applications may share one namespace of Temporal:
    /// only workflows of the configured task queue count.
    ///
    /// # Errors
    /// A server cannot be reached; the error names which.
    pub async fn connect(
        mongo: &DatabasesConfig,
        broker: &BrokerConfig,
        temporal: &TemporalConfig,
    ) -> Result<Self, AuditError> {
        let mongo = Databases::new(mongo).await.map_err(AuditError::Store)?;
        mongo.ping().await.map_err(AuditError::Store)?;
        let client = temporal_client(temporal).await?;
        let task_queue = temporal.task_queue.clone();
        Ok(Self { mongo, broker: broker.clone(), temporal: client, task_queue })
    }
}

async fn temporal_client(config: &TemporalConfig) -> Result<Client, AuditError> {
    let shutdown = Shutdown::new();
    let tasks = Tasks::new(shutdown.clone());
    let temporal = Temporal::start(config, &tasks, shutdown.clone());
    let connected = tokio::time::timeout(CONNECT_DEADLINE, temporal.connected(&shutdown)).await;
    shutdown.begin();
    connected
        .ok()
        .flatten()
        .ok_or(AuditError::TimedOut { server: "Temporal", what: "accept a connection" })
}
