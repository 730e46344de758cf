//! A client that may be made while the server is away. Connecting goes on in
//! the background until it succeeds; from then on the channel reconnects by
//! itself.

use std::sync::Arc;
use std::time::Duration;

use onboard_contract::ConsumerName;
use onboard_runtime::{Availability, Backoff, Check, Shutdown, Tasks};
use temporalio_client::grpc::WorkflowService;
use temporalio_client::tonic::IntoRequest;
use temporalio_client::{Client, Connection, RetryOptions, RpcOptions};
use temporalio_common::protos::temporal::api::workflowservice::v1::DescribeNamespaceRequest;
use tokio::sync::watch;

use crate::{TemporalConfig, TemporalError};

/// How long one call may take. A frozen server is found by this alone.
pub(crate) const CALL_DEADLINE: Duration = Duration::from_secs(5);

/// A client of the registration namespace.
#[derive(Clone)]
pub struct Temporal {
    client: watch::Receiver<Option<Client>>,
    /// Whether calls succeed, as last seen.
    pub availability: Arc<Availability>,
    pub(crate) task_queue: Arc<str>,
    pub(crate) queue_prefix: Arc<str>,
}

impl std::fmt::Debug for Temporal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Temporal").field("task_queue", &self.task_queue).finish_non_exhaustive()
    }
}

impl Temporal {
    /// Begins to connect in the background.
    #[must_use]
    pub fn start(config: &TemporalConfig, tasks: &Tasks, shutdown: Shutdown) -> Self {
        let (found, client) = watch::channel(None);
        let availability = Arc::new(Availability::new("temporal"));
        let temporal = Self::of(client, availability, config);
        let (config, seen) = (config.clone(), Arc::clone(&temporal.availability));
        tasks.spawn("connect to Temporal", async move {
            if let Some(client) = connect_until(&config, &seen, &shutdown).await {
                found.send_replace(Some(client));
                // Receivers keep the value after the sender is gone.
            }
        });
        temporal
    }

    /// Connects now or not at all: for tools, which have no background.
    ///
    /// # Errors
    /// The server is away or the configuration is refused.
    pub async fn connect(config: &TemporalConfig) -> Result<Self, TemporalError> {
        let client = Box::pin(connect(config)).await?;
        // Receivers keep the value after the sender is gone.
        let (_found, client) = watch::channel(Some(client));
        let availability = Arc::new(Availability::new("temporal"));
        Ok(Self::of(client, availability, config))
    }

    fn of(
        client: watch::Receiver<Option<Client>>,
        availability: Arc<Availability>,
        config: &TemporalConfig,
    ) -> Self {
        let task_queue = config.task_queue.as_str().into();
        let queue_prefix = config.queue_prefix.as_str().into();
        Self { client, availability, task_queue, queue_prefix }
    }

    /// The task queue on which a consumer answers whether it has processed an event.
    #[must_use]
    pub fn task_queue_of(&self, consumer: &ConsumerName) -> String {
        format!("{}{consumer}", self.queue_prefix)
    }

    /// The client, once there is a connection.
    ///
    /// # Errors
    /// There has been no connection yet.
    pub fn client(&self) -> Result<Client, TemporalError> {
        self.client.borrow().clone().ok_or_else(|| TemporalError::away("connect"))
    }

    /// Waits for the first connection; `None` when the process stops before.
    pub async fn connected(&self, shutdown: &Shutdown) -> Option<Client> {
        let mut client = self.client.clone();
        let found = shutdown.or(client.wait_for(Option::is_some)).await?;
        found.ok().and_then(|client| client.clone())
    }

    /// Asks the server whether the namespace is there.
    ///
    /// # Errors
    /// It is not, or the server is away.
    pub async fn ping(&self) -> Result<(), TemporalError> {
        const WHAT: &str = "describe the namespace";
        let mut client = self.client()?;
        let namespace = client.options().namespace.clone();
        let mut request =
            DescribeNamespaceRequest { namespace, ..Default::default() }.into_request();
        request.set_timeout(CALL_DEADLINE);
        let answer = WorkflowService::describe_namespace(&mut client, request);
        match tokio::time::timeout(CALL_DEADLINE, answer).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(status)) => Err(TemporalError::from_status(WHAT, status)),
            Err(_) => Err(TemporalError::away(WHAT)),
        }
    }

    /// The readiness check.
    #[must_use]
    pub fn check(&self) -> Check {
        let temporal = self.clone();
        Check::new("temporal", move || {
            let temporal = temporal.clone();
            async move {
                temporal.ping().await.map_err(|error| match error {
                    TemporalError::Unavailable { .. } => "does not answer".to_owned(),
                    TemporalError::Refused { .. } => {
                        "answers, but not for this namespace; run `onboard setup`".to_owned()
                    }
                })
            }
        })
    }
}

/// The options of every call: one try under a deadline; our own loops repeat.
pub(crate) fn one_try() -> RpcOptions {
    RpcOptions::builder().timeout(CALL_DEADLINE).retry_options(RetryOptions::no_retries()).build()
}

/// Connects once.
///
/// # Errors
/// The server is away or the configuration is refused.
pub(crate) async fn connect(config: &TemporalConfig) -> Result<Client, TemporalError> {
    const WHAT: &str = "connect";
    let connecting = Connection::connect(config.connection.clone());
    match tokio::time::timeout(CALL_DEADLINE * 2, connecting).await {
        Ok(Ok(connection)) => Client::new(connection, config.client.clone())
            .map_err(|error| TemporalError::Refused { what: WHAT, source: Box::new(error) }),
        Ok(Err(error)) => Err(TemporalError::from_connect(WHAT, error)),
        Err(_) => Err(TemporalError::away(WHAT)),
    }
}

async fn connect_until(
    config: &TemporalConfig,
    seen: &Availability,
    shutdown: &Shutdown,
) -> Option<Client> {
    let backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    let connecting = backoff.until(shutdown, || async {
        let connected = Box::pin(connect(config)).await;
        seen.report(connected).ok()
    });
    shutdown.or(connecting).await?
}
