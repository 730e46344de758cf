//! Stop 3 of a registration: publish, and know that it arrived.
//!
//! A publish is done only when RabbitMQ has confirmed it and has not returned
//! it: RabbitMQ confirms a message that reached no queue like any other.
//! Everything else is an error, and none says that the message did not arrive:
//! publish again under the same message id.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Confirmation, ErrorKind};
use onboard_contract::{
    ACKNOWLEDGEMENTS_QUEUE, Acknowledged, EventId, Message, Queue, TraceParent,
};
use onboard_fault::{Step, step};
use onboard_runtime::{Check, Shutdown, Tasks, trace};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tracing::{Instrument, Span};

use crate::connection::{CALL_TIMEOUT, Dialer};
use crate::lanes::Lanes;
use crate::link::{Link, supervise};
use crate::unanswered::Unanswered;
use crate::{BrokerConfig, depths, message};

/// An answer within this time came soon.
const SOON: Duration = Duration::from_millis(500);
/// How long a publish waits for a connection that is not there.
const LINK_PATIENCE: Duration = Duration::from_secs(2);
/// The exchange of AMQP that brings a message to the queue of its routing key.
pub(crate) const DEFAULT_EXCHANGE: &str = "";
/// The longest [`Publisher::close`].
pub const CLOSE_MAX: Duration = CALL_TIMEOUT;

/// Publishes over one supervised connection. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Publisher {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    link: Link,
    lanes: Lanes,
    confirm_timeout: Duration,
    /// Whether the last publish had no answer soon.
    late: AtomicBool,
    unanswered: Unanswered,
    /// Asks for a new connection.
    renew: Arc<Notify>,
}

impl Inner {
    fn new(link: Link, confirm_timeout: Duration) -> Self {
        let (lanes, late) = (Lanes::new(), AtomicBool::new(false));
        let (unanswered, renew) = (Unanswered::new(), Arc::default());
        Self { link, lanes, confirm_timeout, late, unanswered, renew }
    }
}

/// The event is not known to be in the queue.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// RabbitMQ is unavailable or blocked by an alarm, or went away meanwhile.
    #[error("event {event_id} was not published: RabbitMQ is unavailable ({cause})")]
    Unavailable {
        /// The event.
        event_id: EventId,
        /// Why.
        cause: String,
    },
    /// No queue is bound for the event.
    #[error("event {event_id} reached no queue ({code} {text})")]
    Unroutable {
        /// The event.
        event_id: EventId,
        /// AMQP's reply code, 312 for "no route".
        code: u16,
        /// AMQP's reply text.
        text: String,
    },
    /// RabbitMQ refused it; most likely the queue is full.
    #[error("RabbitMQ refused event {event_id} (is the queue full?)")]
    Nacked {
        /// The event.
        event_id: EventId,
    },
    /// The confirm did not come in time; whether the message arrived is unknown.
    #[error("RabbitMQ did not confirm event {event_id} within {after:?}")]
    TimedOut {
        /// The event.
        event_id: EventId,
        /// How long it was waited for.
        after: Duration,
    },
}

impl PublishError {
    /// Whether publishing again may succeed. Always: each of these ends when
    /// a server comes back or an operator binds, drains or frees something.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. }
            | Self::Unroutable { .. }
            | Self::Nacked { .. }
            | Self::TimedOut { .. } => true,
        }
    }
}

impl Publisher {
    /// Starts to connect, and keeps connected until the shutdown. `name` is
    /// what RabbitMQ's management page shows.
    #[must_use]
    pub fn start(config: &BrokerConfig, name: &str, tasks: &Tasks, shutdown: Shutdown) -> Self {
        let (state, link) = Link::new();
        let dialer = Dialer::new(config, name);
        let inner = Inner::new(link, config.confirm_timeout);
        let renew = Arc::clone(&inner.renew);
        tasks.spawn("broker publisher", supervise(dialer, state, renew, shutdown));
        Self { inner: Arc::new(inner) }
    }

    /// Whether RabbitMQ is likely to answer a publish within half a second: there
    /// is a connection, and the last publish was answered so soon.
    #[must_use]
    pub fn is_prompt(&self) -> bool {
        self.inner.link.is_open() && !self.inner.late.load(Ordering::Relaxed)
    }

    /// Publishes the event to its exchange and waits for the confirm. Many callers may do so
    /// at once. Takes at most 2 s for the connection and then the confirm
    /// time-out.
    ///
    /// # Errors
    /// The event is not known to be in the queue.
    pub async fn publish(&self, message: &Message) -> Result<(), PublishError> {
        let of = message.event_type;
        self.publish_to(of.exchange, of.routing_key, message).await
    }

    /// Publishes a copy of the event straight to one queue, past its exchange:
    /// no other consumer gets it. Otherwise as [`Publisher::publish`].
    ///
    /// # Errors
    /// The event is not known to be in the queue.
    pub async fn publish_copy(&self, queue: &Queue, message: &Message) -> Result<(), PublishError> {
        self.publish_to(DEFAULT_EXCHANGE, &queue.name, message).await
    }

    async fn publish_to(
        &self,
        exchange: &str,
        routing_key: &str,
        message: &Message,
    ) -> Result<(), PublishError> {
        let span = span(exchange, routing_key, message);
        let properties = message::properties(message, trace::of(&span).as_ref());
        let began = Instant::now();
        let sent = self.send(exchange, routing_key, &message.body, properties);
        let sent = sent.instrument(span.clone()).await;
        let outcome = sent.as_ref().map_or_else(SendError::word, |()| "confirmed");
        let answered = sent.as_ref().map_or_else(SendError::is_an_answer, |()| true);
        self.inner.late.store(!answered || began.elapsed() > SOON, Ordering::Relaxed);
        metrics::histogram!("broker_publish_seconds").record(began.elapsed());
        metrics::counter!("broker_publishes_total", "outcome" => outcome).increment(1);
        sent.map_err(|error| {
            trace::failed(&span, outcome);
            error.about(message.event_id)
        })
    }

    /// Publishes an acknowledgement, with its consumer's name as the routing key, and
    /// waits for the confirm. Otherwise as [`Publisher::publish`].
    ///
    /// # Errors
    /// The acknowledgement is not known to be in its queue.
    pub async fn acknowledge(&self, acknowledged: &Acknowledged) -> Result<(), PublishError> {
        // Names and ids only: serialising them cannot fail.
        let body = serde_json::to_vec(acknowledged).unwrap_or_default();
        let properties = message::of_acknowledgement(trace::current().as_ref());
        let (exchange, key) = (&ACKNOWLEDGEMENTS_QUEUE.exchange, acknowledged.consumer.as_str());
        let sent = self.send(exchange, key, &body, properties).await;
        sent.map_err(|error| error.about(acknowledged.event_id))
    }

    /// How many messages are ready in a queue, asked on a channel of its own: a
    /// queue that is gone makes RabbitMQ close the channel that asked.
    ///
    /// # Errors
    /// RabbitMQ does not answer, or there is no such queue.
    pub async fn waiting(&self, queue: &Queue, event_id: EventId) -> Result<u32, PublishError> {
        let unavailable = |cause| PublishError::Unavailable { event_id, cause };
        let connection = self.inner.link.ready(LINK_PATIENCE).await.map_err(unavailable)?;
        let depth = timeout(CALL_TIMEOUT, depths::depth(&connection, &queue.name)).await;
        match depth {
            Ok(Ok(depth)) => Ok(depth.messages),
            Ok(Err(error)) => Err(unavailable(error.to_string())),
            Err(_) => Err(PublishError::TimedOut { event_id, after: CALL_TIMEOUT }),
        }
    }

    /// Publishes persistent, mandatory and confirmed. The properties say
    /// "persistent"; the rest is said here.
    pub(crate) async fn send(
        &self,
        exchange: &str,
        routing_key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), SendError> {
        let connection =
            self.inner.link.ready(LINK_PATIENCE).await.map_err(SendError::Unavailable)?;
        let confirmed = async {
            let lane = self.inner.lanes.take(&connection).await?;
            let confirmation =
                confirm(&lane.channel, exchange, routing_key, body, properties).await?;
            if matches!(confirmation, Confirmation::Ack(_)) {
                self.inner.lanes.give_back(lane);
            }
            Ok::<_, lapin::Error>(confirmation)
        };
        let (after, began) = (self.inner.confirm_timeout, Instant::now());
        match timeout(after, confirmed).await {
            Ok(Ok(confirmation)) => {
                self.inner.unanswered.answered();
                judge(confirmation)
            }
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => {
                if self.inner.unanswered.timed_out(began) {
                    self.inner.renew.notify_waiters();
                }
                Err(SendError::TimedOut(after))
            }
        }
    }

    /// Whether RabbitMQ answers and takes messages.
    #[must_use]
    pub fn check(&self) -> Check {
        self.inner.link.check()
    }

    /// Closes the connection. To be called when nothing publishes any more;
    /// a publisher that is only dropped says no goodbye.
    pub async fn close(&self) {
        self.inner.link.close().await;
    }
}

/// The producer's span: below the one that is entered, unless that belongs to
/// another trace than the message.
fn span(exchange: &str, routing_key: &str, message: &Message) -> Span {
    let destination = if exchange.is_empty() { routing_key } else { exchange };
    let span = tracing::info_span!(
        "publish",
        otel.name = format!("publish {destination}"),
        otel.kind = "producer",
        messaging.system = "rabbitmq",
        messaging.operation.name = "publish",
        messaging.operation.type = "send",
        messaging.destination.name = destination,
        messaging.rabbitmq.destination.routing_key = routing_key,
        messaging.message.id = %message.event_id,
    );
    let own = message.traceparent.as_ref();
    if own.map(TraceParent::trace_id) != trace::current().as_ref().map(TraceParent::trace_id) {
        trace::continues(&span, own);
    }
    span
}

async fn confirm(
    channel: &Channel,
    exchange: &str,
    routing_key: &str,
    body: &[u8],
    properties: BasicProperties,
) -> lapin::Result<Confirmation> {
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let sent = step(
        Step("publish.send"),
        channel.basic_publish(exchange.into(), routing_key.into(), options, body, properties),
    );
    step(Step("publish.confirm"), sent.await?).await
}

/// RabbitMQ closes the channel over a publish that it refuses, and says why.
fn failed(error: &lapin::Error) -> SendError {
    match error.kind() {
        ErrorKind::ProtocolError(said) if error.is_amqp_soft_error() => {
            SendError::Refused(said.to_string())
        }
        _ => SendError::Unavailable(error.to_string()),
    }
}

fn judge(confirmation: Confirmation) -> Result<(), SendError> {
    match confirmation {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(returned)) => Err(SendError::Unroutable {
            code: returned.reply_code,
            text: returned.reply_text.to_string(),
        }),
        Confirmation::Nack(_) => Err(SendError::Nacked),
        // Every lane is in confirm mode.
        Confirmation::NotRequested => {
            Err(SendError::Unavailable("the channel is not in confirm mode".to_owned()))
        }
    }
}

/// [`PublishError`] of a message that need not have an event id.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("RabbitMQ is unavailable ({0})")]
    Unavailable(String),
    #[error("it reached no queue ({code} {text})")]
    Unroutable { code: u16, text: String },
    #[error("RabbitMQ refused it ({0})")]
    Refused(String),
    #[error("RabbitMQ did not take it; is the queue full?")]
    Nacked,
    #[error("RabbitMQ did not confirm it within {0:?}")]
    TimedOut(Duration),
}

impl SendError {
    /// Whether RabbitMQ has answered, if not as hoped.
    const fn is_an_answer(&self) -> bool {
        matches!(self, Self::Unroutable { .. } | Self::Nacked)
    }

    /// A constant word for the trace.
    const fn word(&self) -> &'static str {
        match self {
            Self::Unavailable(_) | Self::Refused(_) => "away",
            Self::Unroutable { .. } => "returned",
            Self::Nacked => "nacked",
            Self::TimedOut(_) => "timed_out",
        }
    }

    fn about(self, event_id: EventId) -> PublishError {
        match self {
            Self::Unavailable(cause) | Self::Refused(cause) => {
                PublishError::Unavailable { event_id, cause }
            }
            Self::Unroutable { code, text } => PublishError::Unroutable { event_id, code, text },
            Self::Nacked => PublishError::Nacked { event_id },
            Self::TimedOut(after) => PublishError::TimedOut { event_id, after },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onboard_runtime::clock;

    #[test]
    fn only_a_plain_ack_is_a_success() {
        assert!(judge(Confirmation::Ack(None)).is_ok());
        assert!(matches!(judge(Confirmation::Nack(None)), Err(SendError::Nacked)));
        assert!(matches!(judge(Confirmation::NotRequested), Err(SendError::Unavailable(_))));
    }

    #[test]
    fn every_error_names_the_event() {
        let event_id: EventId = clock::ordered_id().into();
        for error in [
            SendError::Unavailable("gone".to_owned()),
            SendError::Refused("404".to_owned()),
            SendError::Unroutable { code: 312, text: "NO_ROUTE".to_owned() },
            SendError::Nacked,
            SendError::TimedOut(Duration::from_secs(5)),
        ] {
            let error = error.about(event_id);
            assert!(error.to_string().contains(&event_id.to_string()), "{error}");
            assert!(error.is_retryable());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_connection_a_publish_ends_as_unavailable() {
        let (_state, link) = Link::new();
        let publisher = Publisher { inner: Arc::new(Inner::new(link, Duration::from_secs(5))) };
        assert!(!publisher.is_prompt());
        let sent = publisher.send("x", "y", b"{}", BasicProperties::default()).await;
        assert!(matches!(sent, Err(SendError::Unavailable(_))), "{sent:?}");
    }
}
