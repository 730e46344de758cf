//! Makes the acknowledging complete: sends again what was committed but not
//! acknowledged.
//!
//! It covers an acknowledgement that failed, those that did not fit into the
//! channel, and a process that died between commit and note. It reads the
//! inbox, so it misses nothing; the acknowledger is only the faster way. It
//! looks now and then at what is old, and at once and at everything when the
//! acknowledger has fallen behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use onboard_runtime::{Availability, Rounds, Shutdown};
use onboard_store::StoreError;

use crate::acknowledger::{Outcome, acknowledge};
use crate::backlog::Backlog;
use crate::groups::GroupedInbox;
use crate::{Acknowledge, Done, Effect};

/// Acknowledgements read at once.
const BATCH: u32 = 256;
/// Acknowledgements under way at the same time; most of them wait for their
/// note (`groups`).
const CONCURRENCY: usize = 64;

/// When the sweep looks, and at what.
#[derive(Debug, Clone, Copy)]
pub struct SweepSettings {
    /// The wait between two looks.
    pub interval: Duration,
    /// The age from which an acknowledgement counts as not delivered.
    pub age: Duration,
}

impl Default for SweepSettings {
    fn default() -> Self {
        Self { interval: Duration::from_secs(5), age: Duration::from_secs(10) }
    }
}

/// Sweeps until the shutdown.
pub(crate) async fn run<F: Effect, A: Acknowledge>(
    to: A,
    inbox: GroupedInbox<F>,
    backlog: Arc<Backlog>,
    settings: SweepSettings,
    shutdown: Shutdown,
) {
    let mongo = Availability::new("mongo (sweep)");
    let mut rounds = Rounds::new(settings.interval, shutdown).after_a_wait();
    loop {
        // Cut off anywhere it is merely unfinished: the next sweep goes on.
        let sweep = sweep(&to, &inbox, &backlog, settings);
        let Some(swept) = rounds.next_woken(backlog.fell(), sweep).await else { return };
        mongo.report(swept).ok();
    }
}

/// Sends what is old; or everything, when we have fallen behind, and then once
/// more what was left while that came to its end.
async fn sweep<F: Effect, A: Acknowledge>(
    to: &A,
    inbox: &GroupedInbox<F>,
    backlog: &Backlog,
    settings: SweepSettings,
) -> Result<(), StoreError> {
    if !backlog.is_behind() {
        return send_all(to, inbox, settings.age).await.map(drop);
    }
    if send_all(to, inbox, Duration::ZERO).await? == Ended::Away {
        // Still behind: what comes is left to the next sweep.
        return Ok(());
    }
    backlog.caught_up();
    send_all(to, inbox, Duration::ZERO).await.map(drop)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// Everything was looked at.
    AtTheEnd,
    /// A server is away.
    Away,
}

/// Sends everything of that age that is left, page by page, until a server is
/// away. What is refused, busy, or cannot be read, holds up nobody behind it.
async fn send_all<F: Effect, A: Acknowledge>(
    to: &A,
    inbox: &GroupedInbox<F>,
    age: Duration,
) -> Result<Ended, StoreError> {
    let (mut after, mut noted) = (None, 0);
    let ended = loop {
        let page = inbox.inbox().unacknowledged(age, after, BATCH).await?;
        let sent = send(to, inbox, page.found).await;
        noted += sent.noted;
        after = page.last;
        if sent.away {
            break Ended::Away;
        }
        if after.is_none() {
            break Ended::AtTheEnd;
        }
    };
    if noted > 0 {
        tracing::info!(noted, "late acknowledgements sent");
    }
    Ok(ended)
}

struct Sent {
    noted: usize,
    away: bool,
}

/// Sends one page, stopping when a server is away.
async fn send<F: Effect, A: Acknowledge>(to: &A, inbox: &GroupedInbox<F>, page: Vec<Done>) -> Sent {
    let (away, noted) = (AtomicBool::new(false), AtomicUsize::new(0));
    futures::stream::iter(page)
        .for_each_concurrent(CONCURRENCY, async |done| {
            if away.load(Ordering::Relaxed) {
                return;
            }
            match acknowledge(to, inbox, &done).await {
                Outcome::Noted => drop(noted.fetch_add(1, Ordering::Relaxed)),
                Outcome::Busy | Outcome::Refused => (),
                Outcome::Away => away.store(true, Ordering::Relaxed),
            }
        })
        .await;
    Sent { noted: noted.into_inner(), away: away.into_inner() }
}
