//! A dead-letter queue, as operators' tools look at it and work it off.
//!
//! Letters are taken one by one, oldest first, and not acked: whoever only
//! looks closes, and all of them are back in their order. A letter goes away
//! by [`DeadLetters::settle`] alone, after what it stood for is in other hands.
//! Nothing is declared here: a tool that looks must not repair.
//!
//! When the process dies here, every letter that was not settled is back.

use std::fmt;
use std::time::Duration;

use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicGetOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection};
use onboard_contract::{EventId, Queue, UserId};
use onboard_fault::{Step, step};
use tokio::time::timeout;

use crate::connection::{CALL_TIMEOUT, close, connect};
use crate::dead_letter::{DETAIL, REASON, repeatable, text};
use crate::depths::depth;
use crate::inspect::is_missing;
use crate::publisher::{DEFAULT_EXCHANGE, SendError};
use crate::screen::CUT_BYTES;
use crate::{BrokerConfig, ConnectError, Publisher};

/// The reason of a letter that brings none.
const UNKNOWN: &str = "unknown";
/// RabbitMQ's word for a message that its consumer gave up on without a copy, which a
/// consumer does when a message is too large to be held.
const REJECTED: &str = "rejected";
const TOO_LARGE: &str = "too_large";
/// Where RabbitMQ itself says why, newest first.
const X_DEATH: &str = "x-death";
/// The header that names the user.
const SUBJECT: &str = "cloudEvents_subject";

/// Reads the ids of an event and of the user that it is about, if it is about one,
/// from a body that is an event that the caller understands.
pub type ReadIds = fn(&[u8]) -> Option<(EventId, Option<UserId>)>;

/// A connection to the dead-letter queue of a queue.
#[derive(Debug)]
pub struct DeadLetters {
    connection: Connection,
    channel: Channel,
    queue: Queue,
    read_ids: ReadIds,
}

/// A message that was given up on.
#[derive(Clone)]
pub struct DeadLetter {
    /// The message id, as it came.
    pub message_id: Option<String>,
    /// The event: of the body, which is what a consumer goes by, else of the
    /// message id.
    pub event_id: Option<EventId>,
    /// The user: of the body, else of the headers.
    pub user_id: Option<UserId>,
    /// Whether the body is an event that the caller understands.
    pub is_event: bool,
    /// A short word: the consumer's own, else RabbitMQ's (such as
    /// `delivery_limit`), else `unknown`.
    pub reason: String,
    /// The consumer's words.
    pub detail: Option<String>,
    /// When it was published, in ms, as far as it says so.
    pub published_at_ms: Option<i64>,
    /// The routing key that it became a dead letter with.
    pub routing_key: String,
    /// The body; of one that is larger than an event may be, the beginning. Personal
    /// data.
    pub body: Vec<u8>,
    properties: BasicProperties,
    delivery_tag: u64,
    queue: Queue,
}

/// The dead-letter queue could not be used.
#[derive(Debug, thiserror::Error)]
pub enum DeadLettersError {
    /// There is no connection.
    #[error("the dead letters cannot be reached")]
    Connect(#[source] ConnectError),
    /// RabbitMQ failed a call.
    #[error("RabbitMQ could not {what}")]
    Call {
        /// The call, as a verb.
        what: &'static str,
        /// lapin's error.
        #[source]
        source: lapin::Error,
    },
    /// No answer in time.
    #[error("RabbitMQ did not {what} within {} s", CALL_TIMEOUT.as_secs())]
    TimedOut {
        /// The call, as a verb.
        what: &'static str,
    },
}

impl DeadLettersError {
    /// Whether the queue itself is not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Call { source, .. } => is_missing(source),
            Self::Connect(_) | Self::TimedOut { .. } => false,
        }
    }
}

/// A message is not known to be back in the queue.
#[derive(Debug, thiserror::Error)]
pub enum PutBackError {
    /// RabbitMQ takes no such message; another try would fare the same.
    #[error("the message was not put back: {0}")]
    Refused(String),
    /// RabbitMQ did not take the message now.
    #[error("the message was not put back: {0}")]
    NotNow(String),
}

impl DeadLetters {
    /// Connects. `name` is what RabbitMQ's management page shows; `read_ids`
    /// says which bodies are events.
    ///
    /// # Errors
    /// RabbitMQ is unavailable or refuses.
    pub async fn open(
        config: &BrokerConfig,
        queue: Queue,
        name: &str,
        read_ids: ReadIds,
    ) -> Result<Self, DeadLettersError> {
        let connection = connect(config, name).await.map_err(DeadLettersError::Connect)?;
        let channel = called("open a channel", connection.create_channel()).await?;
        Ok(Self { connection, channel, queue, read_ids })
    }

    /// How many letters wait; those that somebody has taken and not settled
    /// do not count.
    ///
    /// # Errors
    /// RabbitMQ failed, or there is no such queue.
    pub async fn count(&self) -> Result<u32, DeadLettersError> {
        self.depth(&self.queue.dead_letter_queue).await
    }

    /// Messages that wait in the queue itself.
    ///
    /// # Errors
    /// RabbitMQ is unavailable, or the queue is not there.
    pub async fn waiting(&self) -> Result<u32, DeadLettersError> {
        self.depth(&self.queue.name).await
    }

    async fn depth(&self, queue: &str) -> Result<u32, DeadLettersError> {
        let depth = called("count a queue's messages", depth(&self.connection, queue)).await?;
        Ok(depth.messages)
    }

    /// Takes the oldest letter, or says that none is left.
    ///
    /// # Errors
    /// RabbitMQ failed.
    pub async fn next(&self) -> Result<Option<DeadLetter>, DeadLettersError> {
        let queue = &*self.queue.dead_letter_queue;
        let taking = self.channel.basic_get(queue.into(), BasicGetOptions::default());
        let taken = called("hand out a dead letter", taking).await?;
        Ok(taken.map(|message| self.read(message.delivery)))
    }

    /// Removes a letter that is done with.
    ///
    /// # Errors
    /// RabbitMQ failed; then the letter comes again.
    pub async fn settle(&self, letter: &DeadLetter) -> Result<(), DeadLettersError> {
        let options = BasicAckOptions::default();
        let acking = self.channel.basic_ack(letter.delivery_tag, options);
        called("remove a dead letter", step(Step("redrive.settle"), acking)).await
    }

    fn read(&self, delivery: Delivery) -> DeadLetter {
        let Delivery { data: body, properties, delivery_tag, routing_key, .. } = delivery;
        let headers = properties.headers().clone().unwrap_or_default();
        let message_id = properties.message_id().as_ref().map(ToString::to_string);
        let ids = (self.read_ids)(&body);
        let named = message_id.as_deref().and_then(|id| id.parse().ok());
        let subject = header(&headers, SUBJECT).and_then(|id| id.parse().ok());
        DeadLetter {
            event_id: ids.map(|(event, _)| event).or(named),
            user_id: ids.and_then(|(_, user)| user).or(subject),
            is_event: ids.is_some(),
            reason: reason(&headers, body.len()),
            detail: header(&headers, DETAIL),
            published_at_ms: properties
                .timestamp()
                .and_then(|seconds| i64::try_from(seconds.saturating_mul(1_000)).ok()),
            routing_key: routing_key.to_string(),
            body,
            message_id,
            properties,
            delivery_tag,
            queue: self.queue.clone(),
        }
    }

    /// Gives back what was not settled. RabbitMQ answers the close of the
    /// channel after everything that was said before on it.
    pub async fn close(self) {
        let left = timeout(CALL_TIMEOUT, self.channel.close(200, "done".into())).await;
        tracing::debug!(clean = matches!(left, Ok(Ok(()))), "left the dead letters");
        close(&self.connection).await;
    }
}

/// The body and most headers are left out: they may be personal data.
impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter")
            .field("message_id", &self.message_id)
            .field("event_id", &self.event_id)
            .field("reason", &self.reason)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl DeadLetter {
    /// Publishes the message straight to its queue once more, as it came before
    /// it was given up on, and awaits the confirm: other consumers of its event
    /// get no second copy.
    ///
    /// # Errors
    /// It is not known to be in the queue; it may be put back again.
    pub async fn put_back(&self, publisher: &Publisher) -> Result<(), PutBackError> {
        self.publish(publisher, DEFAULT_EXCHANGE, &self.queue.name).await
    }

    /// The same through the exchange of its queue, for a queue whose consumer
    /// goes by the routing key.
    ///
    /// # Errors
    /// As above.
    pub async fn put_back_by(
        &self,
        publisher: &Publisher,
        routing_key: &str,
    ) -> Result<(), PutBackError> {
        self.publish(publisher, &self.queue.exchange, routing_key).await
    }

    async fn publish(
        &self,
        publisher: &Publisher,
        exchange: &str,
        routing_key: &str,
    ) -> Result<(), PutBackError> {
        if self.body.len() == CUT_BYTES {
            let why = "its body is larger than that of an event, and was not read whole";
            return Err(PutBackError::Refused(why.to_owned()));
        }
        let (properties, _) = as_it_came(&self.properties);
        let sent = publisher.send(exchange, routing_key, &self.body, properties).await;
        sent.map_err(|error| match error {
            SendError::Refused(_) => PutBackError::Refused(error.to_string()),
            SendError::Unavailable(_)
            | SendError::Unroutable { .. }
            | SendError::Nacked
            | SendError::TimedOut(_) => PutBackError::NotNow(error.to_string()),
        })
    }

    /// The properties and headers that are lost when the message is put back, or were
    /// before.
    #[must_use]
    pub fn dropped(&self) -> Vec<String> {
        as_it_came(&self.properties).1
    }

    /// The queue that gave it up.
    #[must_use]
    pub const fn queue(&self) -> &Queue {
        &self.queue
    }
}

/// Without what was written on it when it was given up on, and without what cannot be
/// kept, whose names come second.
fn as_it_came(given_up: &BasicProperties) -> (BasicProperties, Vec<String>) {
    let (given_up, dropped) = repeatable(given_up);
    let mut headers = FieldTable::default();
    for (name, value) in given_up.headers().iter().flatten() {
        let ours = name.as_str().starts_with("x-onboard-");
        let brokers = name.as_str().contains("-death") || name.as_str() == "x-delivery-count";
        if !ours && !brokers {
            headers.insert(name.clone(), value.clone());
        }
    }
    (given_up.with_headers(headers), dropped)
}

fn reason(headers: &FieldTable, body_bytes: usize) -> String {
    let brokers = || match brokers_reason(headers) {
        Some(reason) if reason == REJECTED && body_bytes >= CUT_BYTES => TOO_LARGE.to_owned(),
        reason => reason.unwrap_or_else(|| UNKNOWN.to_owned()),
    };
    header(headers, REASON).unwrap_or_else(brokers)
}

fn brokers_reason(headers: &FieldTable) -> Option<String> {
    let AMQPValue::FieldArray(deaths) = headers.inner().get(X_DEATH)? else { return None };
    let AMQPValue::FieldTable(newest) = deaths.as_slice().first()? else { return None };
    header(newest, "reason")
}

fn header(headers: &FieldTable, name: &str) -> Option<String> {
    text(headers.inner().get(name)?)
}

async fn called<T>(
    what: &'static str,
    call: impl Future<Output = lapin::Result<T>>,
) -> Result<T, DeadLettersError> {
    let deadline: Duration = CALL_TIMEOUT;
    match timeout(deadline, call).await {
        Ok(answer) => answer.map_err(|source| DeadLettersError::Call { what, source }),
        Err(_) => Err(DeadLettersError::TimedOut { what }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in entries {
            table.insert((*name).into(), value.clone());
        }
        table
    }

    fn said(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    #[test]
    fn the_reason_is_ours_then_the_brokers_then_unknown() {
        let death = AMQPValue::FieldTable(table(&[("reason", said("delivery_limit"))]));
        let deaths = AMQPValue::FieldArray(vec![death].into());
        let both = table(&[(X_DEATH, deaths.clone()), (REASON, said("not_json"))]);
        assert_eq!(reason(&both, 1), "not_json");
        assert_eq!(reason(&table(&[(X_DEATH, deaths)]), CUT_BYTES), "delivery_limit");
        assert_eq!(reason(&table(&[(X_DEATH, said("odd"))]), 1), "unknown");
        assert_eq!(reason(&FieldTable::default(), CUT_BYTES), "unknown");
    }

    #[test]
    fn a_large_message_that_was_rejected_was_too_large() {
        let death = AMQPValue::FieldTable(table(&[("reason", said("rejected"))]));
        let rejected = table(&[(X_DEATH, AMQPValue::FieldArray(vec![death].into()))]);
        assert_eq!(reason(&rejected, CUT_BYTES), "too_large");
        assert_eq!(reason(&rejected, CUT_BYTES - 1), "rejected");
    }

    #[test]
    fn what_is_put_back_is_what_came() {
        let given_up = table(&[
            (REASON, said("store_rejected")),
            (DETAIL, said("words")),
            (X_DEATH, said("x")),
            ("x-first-death-queue", said("x")),
            ("x-delivery-count", said("x")),
            ("traceparent", said("kept")),
            ("BCC", said("x")),
        ]);
        let given_up = BasicProperties::default()
            .with_headers(given_up)
            .with_message_id("m".into())
            .with_user_id("somebody".into());
        let (came, dropped) = as_it_came(&given_up);
        assert_eq!(dropped, ["BCC", "user_id"]);
        let headers = came.headers().clone().unwrap();
        let names: Vec<&str> =
            headers.inner().keys().map(lapin::types::ShortString::as_str).collect();
        assert_eq!(names, ["traceparent"]);
        assert_eq!(*came.message_id(), Some("m".into()));
        assert_eq!(*came.delivery_mode(), Some(crate::message::PERSISTENT));
    }
}
