//! Which relay leads: it does what one relay is to do for all, such as the metrics of
//! the outbox, the rebuild and the removal of old rows.
//!
//! Each relay renews its place (`Relays::renew`) every two seconds. A relay that cannot
//! renew it stops leading before its lease runs out, and another one leads within
//! seconds of a leader's death.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use onboard_outbox::relays::{RENEWED_EVERY, Relays};
use onboard_runtime::{Availability, Rounds, Shutdown};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::share::Membership;

/// What this relay knows of the lead.
#[derive(Debug, Clone)]
pub(crate) struct Lead {
    /// Until when it leads.
    until: watch::Receiver<Option<Instant>>,
    relays: Arc<AtomicU64>,
}

/// Renews the place of this relay.
#[derive(Debug)]
pub(crate) struct Renewal {
    relays: Relays,
    until: watch::Sender<Option<Instant>>,
    count: Arc<AtomicU64>,
    membership: Membership,
}

/// A relay that does not lead yet, and what makes it lead.
pub(crate) fn lead(relays: &Relays, membership: Membership) -> (Lead, Renewal) {
    let (sender, until) = watch::channel(None);
    let count = Arc::new(AtomicU64::new(0));
    let lead = Lead { until, relays: Arc::clone(&count) };
    (lead, Renewal { relays: relays.clone(), until: sender, count, membership })
}

impl Lead {
    /// Whether this relay leads.
    pub(crate) fn is_held(&self) -> bool {
        self.until.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// How many relays there are; `None` before the first renewal.
    pub(crate) fn relays(&self) -> Option<u64> {
        Some(self.relays.load(Ordering::Relaxed)).filter(|relays| *relays > 0)
    }

    /// Waits until this relay leads; false when the shutdown came first.
    pub(crate) async fn taken(&mut self, shutdown: &Shutdown) -> bool {
        while !self.is_held() {
            let changed = shutdown.or(self.until.changed()).await;
            if !matches!(changed, Some(Ok(()))) {
                return false;
            }
        }
        !shutdown.has_begun()
    }

    /// Waits until this relay leads no more.
    async fn lost(&mut self) {
        loop {
            let until = *self.until.borrow_and_update();
            let Some(until) = until else { return };
            tokio::select! {
                () = sleep_until(until) => return,
                changed = self.until.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Runs the work of the leader whenever this relay leads, and cuts it off when it
    /// leads no more, until the shutdown.
    pub(crate) async fn while_held<F: Future<Output = ()>>(
        mut self,
        shutdown: Shutdown,
        work: impl Fn() -> F,
    ) {
        while self.taken(&shutdown).await {
            let mut lead = self.clone();
            tokio::select! {
                () = work() => return,
                () = lead.lost() => (),
            }
        }
    }
}

/// Renews until the shutdown, and then leaves the lead to another relay.
pub(crate) async fn run(mut renewal: Renewal, shutdown: Shutdown) {
    let mongo = Availability::new("mongo (lead)");
    let mut leads = false;
    let mut rounds = Rounds::new(RENEWED_EVERY, shutdown);
    while let Some(renewed) = rounds.next(renewal.relays.renew()).await {
        let Ok(place) = mongo.report(renewed) else {
            // This relay is alone, as far as it knows.
            renewal.count.fetch_max(1, Ordering::Relaxed);
            continue;
        };
        renewal.count.store(place.relays, Ordering::Relaxed);
        renewal.membership.count(&place);
        renewal.until.send_replace(place.leads_until);
        let held = place.leads_until.is_some();
        if std::mem::replace(&mut leads, held) != held {
            tracing::info!(leads = held, relays = place.relays, "the lead among the relays");
        }
    }
    renewal.until.send_replace(None);
    renewal.relays.leave().await.ok();
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LEASE: Duration = Duration::from_secs(6);

    fn held(until: Option<Instant>) -> (Lead, watch::Sender<Option<Instant>>) {
        let (sender, until) = watch::channel(until);
        (Lead { until, relays: Arc::default() }, sender)
    }

    #[tokio::test(start_paused = true)]
    async fn a_lead_that_is_not_renewed_ends_with_its_lease() {
        let (lead, _renewal) = held(Some(Instant::now() + LEASE));
        assert!(lead.is_held());
        tokio::time::advance(LEASE).await;
        assert!(!lead.is_held());
    }

    #[tokio::test(start_paused = true)]
    async fn the_work_of_the_leader_is_cut_off_and_begun_anew() {
        let (lead, renewal) = held(None);
        let (shutdown, begun) = (Shutdown::new(), AtomicU64::new(0));
        let work = || async {
            begun.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<()>().await;
        };
        let stop = shutdown.clone();
        let driven = async {
            for times in 1..=2 {
                renewal.send_replace(Some(Instant::now() + LEASE));
                tokio::time::sleep(LEASE * 2).await;
                assert_eq!(begun.load(Ordering::Relaxed), times);
            }
            stop.begin();
        };
        tokio::join!(lead.while_held(shutdown, work), driven);
    }
}
