//! Commits and notes that many messages share: one transaction for the events
//! that wait, one update for the acknowledgements that wait.
//!
//! Nobody waits for a group to grow: while one is under way the next gathers.
//! An event is tried with others once, and after that alone, so that whatever is
//! wrong with one of them holds up no other for longer than that. When the
//! process dies, a group has been committed whole or not at all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use onboard_contract::EventId;
use onboard_mongo::StoreError;
use onboard_runtime::{Group, trace};
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::{Instrument, Span};

use crate::{Applied, Arrived, Effect, Inbox, Noticed};

/// Transactions of groups under way at the same time: while one waits for its
/// commit another writes. More of them would only meet each other's documents.
const COMMITS_MAX: usize = 2;
/// Events in one transaction: with an effect of a document two each, well under the
/// thousand that MongoDB advises. A process that dies leaves its transactions open
/// for up to a minute, and their events have to wait: both together should be half of
/// what the prefetch lets in, so that others go on.
const EVENTS_MAX: usize = 64;
/// Transactions of single events under way at the same time.
const ALONE_MAX: usize = 64;
/// Acknowledgements sent at the same time, those of the sweep included.
const SIGNALS_MAX: usize = 16;
/// Notes are written this often, all that wait at once: nobody waits for them,
/// and one that is lost only sends its acknowledgement again.
const NOTE_EVERY: Duration = Duration::from_millis(100);
/// Notes in one update.
const NOTES_MAX: usize = 128;

/// The inbox and its effect, shared by all messages. Cheap to clone.
pub(crate) struct GroupedInbox<F: Effect>(Arc<Shared<F>>);

struct Shared<F: Effect> {
    inbox: Inbox,
    effect: F,
    commits: Group<Arrived<F::Event>, Result<Option<Applied>, StoreError>>,
    alone: Semaphore,
    notes: Group<EventId, Result<(), StoreError>>,
    since: Instant,
    signals: Semaphore,
}

impl<F: Effect> Clone for GroupedInbox<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F: Effect> GroupedInbox<F> {
    pub(crate) fn new(inbox: Inbox, effect: F) -> Self {
        Self(Arc::new(Shared {
            inbox,
            effect,
            commits: Group::new(COMMITS_MAX, EVENTS_MAX),
            alone: Semaphore::new(ALONE_MAX),
            notes: Group::new(1, NOTES_MAX),
            since: Instant::now(),
            signals: Semaphore::new(SIGNALS_MAX),
        }))
    }

    /// Applies an event together with others that wait; `None` when it must be
    /// applied alone: a refusal of the whole may be about another member.
    pub(crate) async fn apply(
        &self,
        event: &Arrived<F::Event>,
    ) -> Result<Option<Applied>, StoreError> {
        let work = |events: Vec<Arrived<F::Event>>| async move {
            let Shared { inbox, effect, .. } = &*self.0;
            let applied = inbox.apply_together(effect, &events).instrument(span(&events)).await;
            effect.notice(&Noticed::Group(outcome(&applied)));
            each(applied, events.len())
        };
        match self.0.commits.submit(event.clone(), work).await {
            Err(error) if !error.is_retryable() => Ok(None),
            applied => applied,
        }
    }

    /// Applies an event in a transaction of its own.
    pub(crate) async fn apply_alone(
        &self,
        event: &Arrived<F::Event>,
    ) -> Result<Applied, StoreError> {
        // Nothing closes the semaphore.
        let _permit = self.0.alone.acquire().await.ok();
        let Shared { inbox, effect, .. } = &*self.0;
        effect.notice(&Noticed::Alone);
        inbox.apply(effect, event).instrument(span(std::slice::from_ref(event))).await
    }

    /// Waits for its turn to acknowledge.
    pub(crate) async fn turn_to_signal(&self) -> Option<SemaphorePermit<'_>> {
        // Nothing closes the semaphore.
        self.0.signals.acquire().await.ok()
    }

    /// Notes an acknowledgement together with others, at the next of the
    /// moments at which that is done.
    pub(crate) async fn note(&self, event: EventId) -> Result<(), StoreError> {
        tokio::time::sleep(until_next(self.0.since.elapsed())).await;
        let work = |events: Vec<EventId>| async move {
            each(
                self.0.inbox.note_acknowledged(&events).await.map(|()| vec![(); events.len()]),
                events.len(),
            )
        };
        match self.0.notes.submit(event, work).await {
            // Not known whose fault it is.
            Err(error) if !error.is_retryable() => self.0.inbox.note_acknowledged(&[event]).await,
            noted => noted,
        }
    }

    /// The inbox itself.
    pub(crate) fn inbox(&self) -> &Inbox {
        &self.0.inbox
    }

    /// The consumer's effect, which hears what happens.
    pub(crate) fn effect(&self) -> &F {
        &self.0.effect
    }
}

/// The span of a transaction: below its one message, or in a trace of its own
/// with a link to each of its messages.
fn span<E>(events: &[Arrived<E>]) -> Span {
    let span = tracing::info_span!(
        parent: None,
        "inbox.commit",
        otel.kind = "client",
        db.system.name = "mongodb",
        db.operation.name = "transaction",
        messaging.batch.message_count = events.len(),
    );
    if let [one] = events {
        trace::continues(&span, one.traceparent.as_ref());
    } else {
        for traceparent in events.iter().filter_map(|event| event.traceparent.as_ref()) {
            trace::links(&span, traceparent);
        }
    }
    span
}

/// How long until the next moment to write notes.
fn until_next(elapsed: Duration) -> Duration {
    let every_ms = NOTE_EVERY.as_millis();
    let left_ms = every_ms - elapsed.as_millis() % every_ms;
    u64::try_from(left_ms).map_or(NOTE_EVERY, Duration::from_millis)
}

/// What became of the whole, for each of its members.
fn each<T>(whole: Result<Vec<T>, StoreError>, members: usize) -> Vec<Result<T, StoreError>> {
    match whole {
        Ok(parts) => parts.into_iter().map(Ok).collect(),
        Err(error) => (0..members).map(|_| Err(error.clone())).collect(),
    }
}

fn outcome(applied: &Result<Vec<Option<Applied>>, StoreError>) -> &'static str {
    match applied {
        Ok(applied) if applied.iter().all(Option::is_some) => "committed",
        Ok(_) => "apart",
        Err(_) => "failed",
    }
}
