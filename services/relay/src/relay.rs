//! The loop: woken or timed, work off what is due, wait again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use onboard_runtime::availability::chain;
use onboard_runtime::{Availability, Backoff, Shutdown, Tasks, clock};
use onboard_store::{Due, Mongo, Outbox, StoreError, watch_outbox};
use onboard_temporal::Temporal;
use tokio::sync::Notify;

use crate::config::Settings;
use crate::start::{Outcome, start_due};

/// How long rows in work may take once the process is asked to stop.
pub(crate) const DRAIN_DEADLINE: Duration = Duration::from_secs(10);
/// How fresh a success must be to say that rows pass; above the longest wait
/// of a refused row.
const PASSING: Duration = Duration::from_mins(2);
/// Rows read at once.
const BATCH: u32 = 256;

/// One relay.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) outbox: Outbox,
    pub(crate) temporal: Temporal,
    pub(crate) settings: Settings,
    mongo: Availability,
    /// Apart from reading: MongoDB may allow the one and refuse the other.
    pub(crate) writing: Availability,
    wake: Arc<Notify>,
    /// When a start last succeeded, in ms since the Unix epoch.
    passed_at_ms: AtomicI64,
}

/// What a look at the outbox came to.
enum Look {
    /// Nothing is due.
    Drained,
    /// A server is away; looking again at once would be in vain.
    Hindered,
}

impl Relay {
    pub(crate) fn new(mongo: &Mongo, temporal: Temporal, settings: Settings) -> Self {
        Self {
            outbox: Outbox::new(mongo),
            temporal,
            settings,
            mongo: Availability::new("mongo"),
            writing: Availability::new("mongo (writing)"),
            wake: Arc::new(Notify::new()),
            passed_at_ms: AtomicI64::new(0),
        }
    }

    /// Notes that a row passed.
    pub(crate) fn passed(&self) {
        self.passed_at_ms.store(clock::now_ms(), Ordering::Relaxed);
    }

    /// Whether rows pass: then a refusal is about the row, else about all.
    pub(crate) fn others_pass(&self) -> bool {
        let since_ms = clock::now_ms().saturating_sub(self.passed_at_ms.load(Ordering::Relaxed));
        u128::try_from(since_ms).is_ok_and(|since_ms| since_ms < PASSING.as_millis())
    }

    /// Runs the wake-up call and the loop in the background.
    pub(crate) fn spawn(self, mongo: Mongo, tasks: &Tasks, shutdown: &Shutdown) {
        let (wake, stop) = (Arc::clone(&self.wake), shutdown.clone());
        tasks.spawn("watch the outbox", watch_outbox(mongo, move || wake.notify_one(), stop));
        let stop = shutdown.clone();
        tasks.spawn("relay", async move { self.run(stop).await });
    }

    async fn run(self, shutdown: Shutdown) {
        let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));
        while !shutdown.has_begun() {
            // Registered before the look, so that a row inserted during it is
            // not slept over.
            let woken = self.wake.notified();
            match self.work_off(&shutdown).await {
                Look::Drained => {
                    backoff.succeeded();
                    tokio::select! {
                        () = woken => (),
                        _ = shutdown.sleep(self.settings.sweep_interval) => (),
                    }
                }
                Look::Hindered => {
                    shutdown.sleep(backoff.failed()).await;
                }
            }
        }
    }

    /// Starts what is due, batch by batch.
    async fn work_off(&self, shutdown: &Shutdown) -> Look {
        while !shutdown.has_begun() {
            let due = match self.due().await {
                Ok(due) if due.is_empty() => return Look::Drained,
                Ok(due) => due,
                Err(_) => return Look::Hindered,
            };
            if self.start_all(due, shutdown).await {
                return Look::Hindered;
            }
        }
        Look::Drained
    }

    async fn due(&self) -> Result<Vec<Due>, StoreError> {
        let due = self.outbox.due(BATCH).await;
        match &due {
            Ok(_) => drop(self.mongo.up()),
            Err(error) => drop(self.mongo.down(&chain(error))),
        }
        due
    }

    /// Works on several rows at the same time; true when a server is away.
    /// The rows not begun by then are left as they are.
    async fn start_all(&self, due: Vec<Due>, shutdown: &Shutdown) -> bool {
        let hindered = AtomicBool::new(false);
        let concurrency = usize::try_from(self.settings.concurrency).unwrap_or(1);
        futures::stream::iter(due)
            .for_each_concurrent(concurrency, async |row| {
                if hindered.load(Ordering::Relaxed) || shutdown.has_begun() {
                    return;
                }
                match start_due(self, &row).await {
                    Outcome::Done | Outcome::PutOff => (),
                    Outcome::Away => hindered.store(true, Ordering::Relaxed),
                }
            })
            .await;
        hindered.into_inner()
    }
}
