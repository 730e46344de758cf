//! Temporal's worker on a thread of its own: its `run` future cannot move
//! between threads. When `run` ends with an error the worker is made anew.
//!
//! Any process may poll a task queue with it: for workflows, for activities or for
//! both. When the process dies, Temporal gives what it had taken to another one.

use std::time::Duration;

use onboard_contract::{EventId, TraceParent};
use onboard_runtime::availability::chain;
use onboard_runtime::{Backoff, Shutdown, trace};
use onboard_temporal::{Temporal, poller_identity};
use temporalio_common::worker::WorkerDeploymentOptions;
use temporalio_sdk::activities::{ActivityImplementer, ActivityInfo};
use temporalio_sdk::runtime::worker_tuner::{FixedSizeSlotSupplier, TunerHolder};
use temporalio_sdk::runtime::{PollerBehavior, RuntimeOptions};
use temporalio_sdk::{Runtime, Worker, WorkerOptions};
use tokio::sync::oneshot;
use tracing::Span;

/// Answers that are under way at the same time.
const ANSWERS: usize = 16;
/// Calls that wait for the next question.
const ANSWER_POLLERS: usize = 4;

/// Why a worker could not be made, or has ended.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// The span of one try of an activity, in the trace of its event. A try that a crash cut
/// off is missing, and the next one stands where it would have stood.
#[must_use]
pub fn span(info: &ActivityInfo, event: EventId, traceparent: Option<&TraceParent>) -> Span {
    let span = tracing::info_span!(
        "activity",
        otel.name = format!("activity {}", info.activity_type),
        otel.kind = "server",
        event_id = %event,
        temporalActivityType = info.activity_type,
        temporalWorkflowID = info.workflow_id,
        temporalRunID = info.workflow_run_id,
        attempt = info.attempt,
        local = info.is_local,
    );
    trace::continues(&span, traceparent);
    span
}

/// Polls Temporal for the tasks of one queue.
pub struct Poller {
    /// The connection.
    pub temporal: Temporal,
    /// The name of the thread, which says what is polled for.
    pub thread: &'static str,
    /// The queue, and what is done with its tasks; asked each time a worker is made.
    pub options: Box<dyn Fn() -> Result<WorkerOptions, Fault> + Send>,
}

/// The thread that polls.
pub struct Polling(oneshot::Receiver<()>);

impl Polling {
    /// Waits for the shutdown, then until it has ended; false when it has not
    /// within `deadline`.
    pub async fn drained(self, shutdown: &Shutdown, deadline: Duration) -> bool {
        shutdown.begun().await;
        // A sender that is dropped without a word means a dead thread: ended too.
        tokio::time::timeout(deadline, self.0).await.is_ok()
    }
}

impl Poller {
    /// Polls until the shutdown begins and what was taken is done. Should the
    /// thread die, the process stops: a supervisor restarts it whole.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn spawn(self, shutdown: &Shutdown) -> std::io::Result<Polling> {
        let (ended, polling) = oneshot::channel();
        let handle = tokio::runtime::Handle::current();
        let shutdown = shutdown.clone();
        std::thread::Builder::new().name(self.thread.to_owned()).spawn(move || {
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
                    let (thread, cause) = (self.thread, chain(error.as_ref()));
                    let wait = backoff.failed();
                    tracing::warn!(thread, cause, ?wait, "polling ended; begins again");
                    shutdown.sleep(wait).await;
                }
            }
        }
    }

    async fn run_once(&self, shutdown: &Shutdown) -> Result<(), Fault> {
        let Some(client) = self.temporal.connected(shutdown).await else { return Ok(()) };
        let runtime = Runtime::from_current_tokio(runtime_options()?)?;
        let options = (self.options)()?;
        let (thread, task_queue) = (self.thread, options.task_queue.clone());
        let deployment = options.deployment_options.clone();
        let mut worker = Worker::new(&runtime, client, options)?;
        let stop = worker.shutdown_handle();
        let build = deployment.use_worker_versioning.then_some(&*deployment.version.build_id);
        tracing::info!(thread, task_queue, build, "polling Temporal");
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
}

/// The options of a poller that does activities alone, a few at a time: they are
/// answers, and much may wait for them at once.
pub fn of_activities<A: ActivityImplementer>(
    task_queue: &str,
    activities: A,
    grace: Duration,
) -> WorkerOptions {
    let mut options = WorkerOptions::new(task_queue)
        .register_activities(activities)
        .graceful_shutdown_period(grace)
        .client_identity_override(poller_identity())
        .deployment_options(unversioned())
        .build();
    options.activity_task_poller_behavior = Some(PollerBehavior::SimpleMaximum(ANSWER_POLLERS));
    options.tuner = TunerHolder::builder()
        .activity_task_slot_supplier(FixedSizeSlotSupplier::new(ANSWERS))
        .workflow_task_slot_supplier(FixedSizeSlotSupplier::new(2))
        .local_activity_task_slot_supplier(FixedSizeSlotSupplier::new(1))
        .nexus_task_slot_supplier(FixedSizeSlotSupplier::new(1))
        .build()
        .into();
    options
}

/// The options of a worker without a deployment. The SDK's default would read
/// the whole program for a checksum at each start.
#[must_use]
pub fn unversioned() -> WorkerDeploymentOptions {
    WorkerDeploymentOptions::from_build_id(env!("CARGO_PKG_VERSION").to_owned())
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
