//! The relay's four stops and what they share.
//!
//! `hand_over` and `sweep` claim rows, `start` starts their workflows, `note`
//! writes that down. They run side by side, with bounded channels between them:
//! when one is slow, those before it wait, and the change stream lets rows go
//! to the sweep. When the shutdown begins nothing more is claimed; what was
//! claimed is started and noted. A crash anywhere lets rows become due again.
//! Beside them `room` holds back and `rebuild` looks for lost workflows.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use onboard_contract::{ConsumerName, Delivery};
use onboard_runtime::availability::chain;
use onboard_runtime::{Availability, Shutdown, Tasks, clock};
use onboard_store::outbox::claim::LEASE_JITTER;
use onboard_store::{Due, Mongo, Outbox, StoreError, Written, watch_outbox};
use onboard_temporal::{DeliveryPlan, Temporal};
use tokio::sync::mpsc;

use crate::config::Settings;
use crate::held::{Held, Row};
use crate::pause::Pause;
use crate::room::Room;
use crate::wake::Wake;
use crate::{hand_over, note, rebuild, room, start, sweep};

/// How long rows in work may take once the process is asked to stop.
pub(crate) const DRAIN_DEADLINE: Duration = Duration::from_secs(10);
/// How fresh a success must be to say that rows pass; above the longest wait
/// of a refused row.
const PASSING: Duration = Duration::from_mins(2);
/// Rows claimed at once.
const PAGE: usize = 64;
/// Claimed rows that wait to be started, beside the page they come from:
/// enough to bridge the claim of the next page.
const AHEAD: usize = 16;

/// One relay.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) outbox: Outbox,
    pub(crate) temporal: Temporal,
    pub(crate) settings: Settings,
    pub(crate) held: Held,
    pub(crate) pause: Pause,
    pub(crate) room: Room,
    pub(crate) wake: Wake,
    /// Apart from reading: MongoDB may allow the one and refuse the other.
    pub(crate) writing: Availability,
    /// When a start last succeeded, in ms since the Unix epoch.
    passed_at_ms: AtomicI64,
}

impl Relay {
    pub(crate) fn new(mongo: &Mongo, temporal: Temporal, settings: Settings) -> Self {
        Self {
            outbox: Outbox::new(mongo),
            temporal,
            settings,
            held: Held::default(),
            pause: Pause::new(),
            room: Room::default(),
            wake: Wake::new(),
            writing: Availability::new("mongo (writing)"),
            passed_at_ms: AtomicI64::new(0),
        }
    }

    /// Runs the four stops in the background.
    pub(crate) fn spawn(self, mongo: Mongo, tasks: &Tasks, shutdown: &Shutdown) {
        let relay = Arc::new(self);
        let (handed, to_claim) = mpsc::channel(hand_over::WAITING_MAX);
        let (claimed, to_start) = mpsc::channel(AHEAD);
        let (started, to_note) = mpsc::channel(note::WAITING_MAX);
        let (watching, stop) = (Arc::clone(&relay), shutdown.clone());
        tasks.spawn("watch the outbox", async move {
            let accept = |inserted| hand_over::accept(&watching, &handed, inserted);
            watch_outbox(mongo, accept, stop).await;
        });
        let (taking, stop, quick) = (Arc::clone(&relay), shutdown.clone(), claimed.clone());
        tasks.spawn("hand over", async move {
            hand_over::run(&taking, to_claim, quick, stop).await;
        });
        let (sweeping, stop) = (Arc::clone(&relay), shutdown.clone());
        tasks.spawn("sweep", async move { sweep::run(&sweeping, claimed, stop).await });
        let (starting, stop) = (Arc::clone(&relay), shutdown.clone());
        tasks.spawn("start", async move { start::run(&starting, to_start, started, stop).await });
        let (looking, stop) = (Arc::clone(&relay), shutdown.clone());
        tasks.spawn("room", async move { room::run(&looking, stop).await });
        let (rebuilding, stop) = (Arc::clone(&relay), shutdown.clone());
        tasks.spawn("rebuild", async move { rebuild::run(&rebuilding, stop).await });
        tasks.spawn("note", async move { note::run(&relay, to_note).await });
    }

    /// How many rows may be claimed at once: after a failure no more than are
    /// tried at once, since others may be able to start them.
    pub(crate) fn claims_max(&self) -> usize {
        if self.pause.in_doubt() { self.concurrency() } else { PAGE }
    }

    pub(crate) fn concurrency(&self) -> usize {
        usize::try_from(self.settings.concurrency).unwrap_or(1)
    }

    /// Claims the rows; those that another relay has are left out. On a
    /// failure some may be claimed; they become due again.
    pub(crate) async fn claim(
        &self,
        rows: Vec<Row>,
        written: Written,
    ) -> Result<Vec<Row>, StoreError> {
        if rows.is_empty() {
            return Ok(rows);
        }
        let lease = self.settings.claim_lease;
        let due: Vec<&Due> = rows.iter().map(|row| &row.due).collect();
        let claimed = self.outbox.claim(&due, lease, written).await;
        let claimed = claimed.inspect_err(|error| self.away(error))?;
        self.writing.up();
        let seen = rows.len();
        let ours: Vec<Row> =
            rows.into_iter().filter(|row| claimed.contains(&row.due.event_id)).collect();
        let lost = seen.saturating_sub(ours.len()) as u64;
        metrics::counter!("relay_claims_lost_total").increment(lost);
        Ok(ours)
    }

    /// MongoDB does not write. A claim's lease runs out by itself, and the sweep looks
    /// then. A refusal is no different: a row that breaks the validator may still be
    /// updated, so it concerns all rows alike.
    pub(crate) fn away(&self, error: &StoreError) {
        self.writing.down(&chain(error));
        self.pause();
        self.wake.after(self.settings.claim_lease + LEASE_JITTER);
    }

    /// How long after a publish its acknowledgement is overdue, in ms.
    pub(crate) fn overdue_ms(&self) -> u64 {
        u64::try_from(self.settings.overdue.as_millis()).unwrap_or(u64::MAX)
    }

    /// What a run delivers: what its row names, and in the plan of released
    /// builds nothing, where the row names nobody.
    pub(crate) fn delivery(&self, of_row: Option<&Delivery>, sent: bool) -> Option<Delivery> {
        match of_row {
            Some(delivery) => Some(delivery.clone()),
            None => match self.settings.plan {
                DeliveryPlan::Released => None,
                DeliveryPlan::Several => {
                    Some(Delivery { consumers: vec![ConsumerName::TODO], direct: sent })
                }
            },
        }
    }

    /// A server is away: holds everything back for a while, then looks.
    pub(crate) fn pause(&self) {
        self.pause.begin();
        self.wake.now();
    }

    /// Notes that a row passed.
    pub(crate) fn passed(&self) {
        self.passed_at_ms.store(clock::now_ms(), Ordering::Relaxed);
        self.room.used();
    }

    /// Whether rows pass: then a refusal is about the row, else about all.
    pub(crate) fn others_pass(&self) -> bool {
        let since_ms = clock::now_ms().saturating_sub(self.passed_at_ms.load(Ordering::Relaxed));
        u128::try_from(since_ms).is_ok_and(|since_ms| since_ms < PASSING.as_millis())
    }
}
