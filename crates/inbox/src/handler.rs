//! One message: decode, commit, hand on to be acknowledged.
//!
//! `Ack` is answered only after the commit, which many messages share
//! (`groups`), or when the inbox shows an earlier one. While MongoDB is away a
//! message waits here, in place: a requeue would count towards the delivery limit
//! and make a poison message of it. RabbitMQ takes a message back after 30 minutes
//! (`consumer_timeout`), which counts once.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onboard_broker::{Incoming, Verdict};
use onboard_contract::{EventError, EventId};
use onboard_mongo::StoreError;
use onboard_runtime::availability::chain;
use onboard_runtime::{Availability, Backoff, Shutdown, trace};
use tracing::{Instrument, Span};

use crate::acknowledger::{Acknowledger, Left, left};
use crate::groups::GroupedInbox;
use crate::{Applied, Arrived, Done, Effect, Noticed};

/// Why the store's refusal makes a dead letter.
const STORE_REJECTED: &str = "store_rejected";
/// Why a record whose effect is gone makes a dead letter.
const EFFECT_MISSING: &str = "effect_missing";
const BACKOFF_FIRST: Duration = Duration::from_millis(200);
const BACKOFF_CAP: Duration = Duration::from_secs(5);

/// Handles messages. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Handler<F: Effect> {
    inbox: GroupedInbox<F>,
    acknowledger: Acknowledger,
    queue: Cow<'static, str>,
    mongo: Arc<Availability>,
    shutdown: Shutdown,
}

impl<F: Effect> Handler<F> {
    pub(crate) fn new(
        inbox: GroupedInbox<F>,
        acknowledger: Acknowledger,
        queue: Cow<'static, str>,
        shutdown: Shutdown,
    ) -> Self {
        let mongo = Arc::new(Availability::new("mongo"));
        Self { inbox, acknowledger, queue, mongo, shutdown }
    }

    /// Handles one message and says, in one line and one count, what became
    /// of it.
    pub(crate) async fn handle(self, message: Incoming) -> Verdict {
        let span = span(&self.queue, &message);
        let (began, effect) = (Instant::now(), self.inbox.effect());
        async {
            let verdict = match effect.decode(&message.body) {
                Ok(mut event) => {
                    event.traceparent = trace::current().or(message.traceparent);
                    self.process(&event).await
                }
                Err(error) => undecodable(&error),
            };
            effect.notice(&Noticed::Handled(word(&verdict), began.elapsed()));
            verdict
        }
        .instrument(span)
        .await
    }

    async fn process(&self, event: &Arrived<F::Event>) -> Verdict {
        Span::current().record("messaging.message.id", tracing::field::display(event.event_id));
        match self.apply(event).await {
            Some(Ok(applied)) => self.finish(event, applied).await,
            Some(Err(error)) => rejected(&error),
            None => stopped(),
        }
    }

    /// Hands the event on to be acknowledged. What the record of a duplicate names may
    /// be gone, and is made again before.
    async fn finish(&self, event: &Arrived<F::Event>, applied: Applied) -> Verdict {
        match self.has_effect(event, applied).await {
            Some(Ok(true)) => {
                self.inbox.effect().notice(&Noticed::Applied(event, applied));
                // A duplicate is acknowledged again: that heals a lost one.
                let handed = self.acknowledger.hand(Done {
                    event_id: event.event_id,
                    reference: applied.reference(),
                    traceparent: event.traceparent.clone(),
                });
                if handed == Err(Left) {
                    left(&self.inbox);
                }
                Verdict::Ack
            }
            Some(Ok(false)) => without_effect(event.event_id),
            Some(Err(error)) => rejected(&error),
            None => stopped(),
        }
    }

    /// Whether the effect is there, however long MongoDB is away; `None` at the shutdown.
    async fn has_effect(
        &self,
        event: &Arrived<F::Event>,
        applied: Applied,
    ) -> Option<Result<bool, StoreError>> {
        let Applied::Duplicate(made) = applied else { return Some(Ok(true)) };
        let look = || async {
            match self.inbox.inbox().has_effect(self.inbox.effect(), event, made).await {
                Err(error) if error.is_retryable() => {
                    self.mongo.down(&chain(&error));
                    None
                }
                found => Some(found),
            }
        };
        Backoff::new(BACKOFF_FIRST, BACKOFF_CAP).until(&self.shutdown, look).await
    }

    /// Applies the event however long MongoDB is away; `None` at the shutdown.
    async fn apply(&self, event: &Arrived<F::Event>) -> Option<Result<Applied, StoreError>> {
        let mut backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_CAP);
        let mut tried = self.inbox.apply(event).await;
        loop {
            match tried {
                Ok(Some(applied)) => {
                    self.mongo.up();
                    return Some(Ok(applied));
                }
                Ok(None) => (),
                Err(error) if error.is_retryable() => {
                    self.mongo.down(&chain(&error));
                    if !self.shutdown.sleep(backoff.failed()).await {
                        return None;
                    }
                }
                Err(error) => return Some(Err(error)),
            }
            tried = self.inbox.apply_alone(event).await.map(Some);
        }
    }
}

/// The consumer's span: in the producer's trace, below it and linked to it. A
/// message that comes again has another one there.
fn span(queue: &str, message: &Incoming) -> Span {
    let span = tracing::info_span!(
        "inbox.process",
        otel.name = format!("process {queue}"),
        otel.kind = "consumer",
        messaging.system = "rabbitmq",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = queue,
        messaging.message.id = tracing::field::Empty,
        redelivered = message.redelivered,
    );
    trace::continues(&span, message.traceparent.as_ref());
    if let Some(producer) = &message.traceparent {
        trace::links(&span, producer);
    }
    span
}

fn undecodable(error: &EventError) -> Verdict {
    let reason = error.reason();
    trace::failed(&Span::current(), reason);
    tracing::warn!(reason, "not an event; dead-lettered");
    // The error's own words; those of its cause may repeat the body.
    Verdict::DeadLetter { reason, detail: error.to_string() }
}

fn rejected(error: &StoreError) -> Verdict {
    trace::failed(&Span::current(), STORE_REJECTED);
    tracing::error!(error = chain(error), "the store refuses the event; dead-lettered");
    Verdict::DeadLetter { reason: STORE_REJECTED, detail: error.to_string() }
}

fn without_effect(event_id: EventId) -> Verdict {
    trace::failed(&Span::current(), EFFECT_MISSING);
    tracing::error!(%event_id, "the record says that the event was applied, and its effect is gone");
    let detail = "the inbox has the event, but its effect is gone and cannot be made again";
    Verdict::DeadLetter { reason: EFFECT_MISSING, detail: detail.to_owned() }
}

fn stopped() -> Verdict {
    tracing::info!("stopping before MongoDB answered; the message comes again");
    Verdict::Retry
}

const fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Ack => "ack",
        Verdict::Retry => "retry",
        Verdict::DeadLetter { .. } => "dead_letter",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onboard_events::UserRegistered;

    #[test]
    fn a_dead_letter_does_not_repeat_the_body() {
        let body =
            br#"{"eventType":"USER_REGISTERED","schemaVersion":1,"eventId":"who@example.com"}"#;
        let verdict = undecodable(&UserRegistered::parse(body).unwrap_err());
        let Verdict::DeadLetter { reason, detail } = verdict else { panic!("{verdict:?}") };
        assert_eq!(reason, "bad_fields");
        assert!(!detail.contains("who@example.com"), "{detail}");
    }
}
