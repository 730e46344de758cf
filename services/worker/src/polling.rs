//! Temporal's worker on a thread of its own: its `run` future cannot move
//! between threads. When `run` ends with an error the worker is made anew.

use std::time::Duration;

use onboard_activities::RegistrationActivities;
use onboard_runtime::availability::chain;
use onboard_runtime::{Backoff, Shutdown};
use onboard_temporal::{Temporal, poller_identity};
use onboard_workflows::{EventDelivery, UserRegistration};
use temporalio_sdk::runtime::RuntimeOptions;
use temporalio_sdk::{Runtime, Worker, WorkerOptions};
use tokio::sync::oneshot;

use crate::deployment::{Deployment, unversioned};
use crate::tuning::tuned;

/// How long activities may take to end once the process is asked to stop.
pub(crate) const DRAIN_DEADLINE: Duration = Duration::from_secs(12);
/// When activities are told that they are cancelled.
const GRACE: Duration = Duration::from_secs(8);

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Polls Temporal for workflow and activity tasks.
pub(crate) struct Poller {
    pub(crate) temporal: Temporal,
    pub(crate) task_queue: String,
    /// `None`: not versioned.
    pub(crate) deployment: Option<Deployment>,
    pub(crate) activities: RegistrationActivities,
}

/// The thread that polls.
pub(crate) struct Polling(oneshot::Receiver<()>);

impl Polling {
    /// Waits for the shutdown, then until it has ended; false when it has not
    /// within `deadline`.
    pub(crate) async fn drained(self, shutdown: &Shutdown, deadline: Duration) -> bool {
        shutdown.begun().await;
        // A sender that is dropped without a word means a dead thread: ended too.
        tokio::time::timeout(deadline, self.0).await.is_ok()
    }
}

impl Poller {
    /// Polls until the shutdown begins and what was taken is done. Should the
    /// thread die, the process stops: a supervisor restarts it whole.
    pub(crate) fn spawn(self, shutdown: &Shutdown) -> std::io::Result<Polling> {
        let (ended, polling) = oneshot::channel();
        let handle = tokio::runtime::Handle::current();
        let shutdown = shutdown.clone();
        std::thread::Builder::new().name("workflows".to_owned()).spawn(move || {
            let _stop_with_me = StopOnDrop(shutdown.clone());
            handle.block_on(self.supervise(&shutdown));
            ended.send(()).ok();
        })?;
        Ok(Polling(polling))
    }

    async fn supervise(self, shutdown: &Shutdown) {
        let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));
        while !shutdown.has_begun() {
            match self.run_once(shutdown).await {
                Ok(()) => backoff.succeeded(),
                Err(error) => {
                    let wait = backoff.failed();
                    let cause = chain(error.as_ref());
                    tracing::warn!(cause, ?wait, "polling ended; begins again");
                    shutdown.sleep(wait).await;
                }
            }
        }
    }

    async fn run_once(&self, shutdown: &Shutdown) -> Result<(), Fault> {
        let Some(client) = self.temporal.connected(shutdown).await else { return Ok(()) };
        let runtime = Runtime::from_current_tokio(runtime_options()?)?;
        let mut worker = Worker::new(&runtime, client, self.options()?)?;
        let stop = worker.shutdown_handle();
        let build = self.deployment.as_ref().map(Deployment::build);
        tracing::info!(task_queue = self.task_queue, build, "polling for workflows and activities");
        let mut run = std::pin::pin!(worker.run());
        tokio::select! {
            ended = &mut run => {
                // A worker that ended by itself stays registered with the
                // client, which then refuses the next one.
                stop();
                ended.map_err(Into::into)
            }
            () = shutdown.begun() => {
                stop();
                run.await.map_err(Into::into)
            }
        }
    }

    fn options(&self) -> Result<WorkerOptions, Fault> {
        let options = WorkerOptions::new(self.task_queue.as_str())
            .register_workflow::<UserRegistration>()?
            .register_workflow::<EventDelivery>()?
            .register_activities(self.activities.clone())
            .graceful_shutdown_period(GRACE)
            .client_identity_override(poller_identity())
            .deployment_options(
                self.deployment.as_ref().map_or_else(unversioned, Deployment::options),
            )
            .build();
        Ok(tuned(options))
    }
}

/// Temporal's own metrics go where ours are.
fn runtime_options() -> Result<RuntimeOptions, Fault> {
    let options = RuntimeOptions::builder().telemetry_options(onboard_temporal::telemetry());
    Ok(options.build()?)
}

struct StopOnDrop(Shutdown);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.begin();
    }
}
