//! Makes the acknowledging complete: sends again what was committed but not
//! acknowledged.
//!
//! It covers an acknowledgement that failed, those that did not fit into the
//! channel, and a process that died between commit and note. It reads the
//! inbox, so it misses nothing; the acknowledger is only the faster way. It
//! looks now and then at what is old, and at once and at everything when the
//! acknowledger has fallen behind. An acknowledgement that the server does not answer
//! waits by itself (`unanswered`); the look ends when the server answers nothing.

mod unanswered;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use onboard_contract::EventId;
use onboard_mongo::{Noted, StoreError};
use onboard_runtime::{Availability, Rounds, Shutdown};

use self::unanswered::Unanswered;
use crate::acknowledger::{Outcome, acknowledge};
use crate::backlog::Backlog;
use crate::groups::GroupedInbox;
use crate::inbox::Unreadable;
use crate::{Acknowledge, Done, Effect};

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
    let mut known = Known::default();
    let mut rounds = Rounds::new(settings.interval, shutdown).after_a_wait();
    loop {
        // Cut off anywhere it is merely unfinished: the next sweep goes on.
        let sweep = sweep(&to, &inbox, &backlog, settings, &mut known);
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
    known: &mut Known,
) -> Result<(), StoreError> {
    if !backlog.is_behind() {
        return send_all(to, inbox, settings.age, known).await.map(drop);
    }
    if send_all(to, inbox, Duration::ZERO, known).await? == Ended::Away {
        // Still behind: what comes is left to the next sweep.
        return Ok(());
    }
    backlog.caught_up();
    send_all(to, inbox, Duration::ZERO, known).await.map(drop)
}

/// What is kept from one sweep to the next.
#[derive(Default)]
struct Known {
    noted: Noted,
    unanswered: Mutex<Unanswered>,
}

impl Known {
    fn unanswered<T>(&self, look: impl FnOnce(&mut Unanswered) -> T) -> T {
        look(&mut self.unanswered.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Names the record in the log, once, as far as the process keeps it in mind.
fn name(noted: &Noted, Unreadable { id, why }: Unreadable) {
    if noted.is_news(id.clone()) {
        tracing::error!(id, error = %why, "an inbox record cannot be read; repair it by hand");
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// Everything was looked at.
    AtTheEnd,
    /// A server is away.
    Away,
}

/// Sends everything of that age that is left, page by page, until a server is
/// away. What is refused, busy, not answered, or cannot be read, holds up nobody behind
/// it.
async fn send_all<F: Effect, A: Acknowledge>(
    to: &A,
    inbox: &GroupedInbox<F>,
    age: Duration,
    known: &mut Known,
) -> Result<Ended, StoreError> {
    known.unanswered(Unanswered::begin);
    let (mut records, mut noted) = (inbox.inbox().unacknowledged(age).await?, 0);
    let ended = loop {
        let page = records.next().await?;
        if page.is_empty() {
            break Ended::AtTheEnd;
        }
        let mut found = Vec::with_capacity(page.len());
        for record in page {
            match record {
                Ok(done) if known.unanswered(|one| one.waits(done.event_id)) => (),
                Ok(done) => found.push(done),
                Err(unreadable) => name(&known.noted, unreadable),
            }
        }
        let sent = send(to, inbox, known, found).await;
        noted += sent.noted;
        if sent.away {
            break Ended::Away;
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
async fn send<F: Effect, A: Acknowledge>(
    to: &A,
    inbox: &GroupedInbox<F>,
    known: &Known,
    page: Vec<Done>,
) -> Sent {
    let (away, noted) = (AtomicBool::new(false), AtomicUsize::new(0));
    futures::stream::iter(page)
        .for_each_concurrent(CONCURRENCY, async |done| {
            if away.load(Ordering::Relaxed) {
                return;
            }
            let outcome = acknowledge(to, inbox, &done).await;
            if outcome == Outcome::Noted {
                noted.fetch_add(1, Ordering::Relaxed);
            }
            if is_away(to, known, done.event_id, outcome).await {
                away.store(true, Ordering::Relaxed);
            }
        })
        .await;
    Sent { noted: noted.into_inner(), away: away.into_inner() }
}

/// Whether a server is away, after this outcome. One record says nothing about Temporal
/// or the broker: several in a row that are not answered do, when nothing else is
/// answered either.
async fn is_away<A: Acknowledge>(to: &A, known: &Known, event: EventId, outcome: Outcome) -> bool {
    match outcome {
        Outcome::Away => true,
        Outcome::Noted | Outcome::Busy | Outcome::Refused => {
            known.unanswered(|waiting| waiting.answered(event));
            false
        }
        Outcome::Unanswered => {
            let Some(row) = known.unanswered(|waiting| waiting.not_answered(event)) else {
                return false;
            };
            let away = !to.answers().await;
            if away {
                known.unanswered(|waiting| waiting.forget(&row));
            }
            away
        }
    }
}
