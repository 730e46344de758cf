//! The one place where deliveries are acked, requeued or dead-lettered.
//!
//! A delivery that dies between a dead letter's confirm and the ack of the
//! original leaves the dead letter twice, never not at all.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use onboard_contract::Queue;
use onboard_fault::{Step, step};
use onboard_runtime::{Backoff, Shutdown};
use tokio::time::timeout;

use crate::connection::CALL_TIMEOUT;
use crate::{Incoming, Publisher, Verdict, dead_letter};

/// The wait before a delivery is requeued, jittered down to its half; without
/// it a message that cannot be handled would spin.
const REQUEUE_AFTER: Duration = Duration::from_secs(2);

/// Lets the handler work on the delivery and does what it says. A handler that
/// panics has not committed anything that it could vouch for: retry.
pub(crate) async fn handle<H, F>(
    delivery: Delivery,
    queue: &Queue,
    handler: &H,
    dead_letters: &Publisher,
    shutdown: &Shutdown,
) where
    H: Fn(Incoming) -> F,
    F: Future<Output = Verdict>,
{
    let incoming = Incoming::of(&delivery);
    let judged = AssertUnwindSafe(async { handler(incoming).await }).catch_unwind().await;
    let verdict = judged.unwrap_or_else(|_| {
        tracing::error!(message_id = ?delivery.properties.message_id(), "the handler panicked");
        Verdict::Retry
    });
    settle(&delivery, queue, verdict, dead_letters, shutdown).await;
}

async fn settle(
    delivery: &Delivery,
    queue: &Queue,
    verdict: Verdict,
    dead_letters: &Publisher,
    shutdown: &Shutdown,
) {
    match verdict {
        Verdict::Ack => ack(delivery).await,
        Verdict::Retry => requeue(delivery, shutdown).await,
        Verdict::DeadLetter { reason, detail } => {
            match dead_letter::publish(dead_letters, queue, delivery, reason, &detail).await {
                Ok(()) => ack(delivery).await,
                Err(error) => {
                    tracing::warn!(reason, %error, "cannot dead-letter a message; it is retried");
                    requeue(delivery, shutdown).await;
                }
            }
        }
    }
}

async fn ack(delivery: &Delivery) {
    let acked = step(Step::DeliveryAck, delivery.ack(BasicAckOptions::default()));
    said(timeout(CALL_TIMEOUT, acked).await);
}

async fn requeue(delivery: &Delivery, shutdown: &Shutdown) {
    shutdown.sleep(Backoff::after(REQUEUE_AFTER, REQUEUE_AFTER, 0)).await;
    let options = BasicNackOptions { requeue: true, multiple: false };
    let requeued = step(Step::DeliveryRequeue, delivery.nack(options));
    said(timeout(CALL_TIMEOUT, requeued).await);
}

/// A settlement that is not heard is not an error: the channel is gone, and
/// RabbitMQ delivers the message again.
fn said(answer: Result<lapin::Result<bool>, tokio::time::error::Elapsed>) {
    match answer {
        Ok(Ok(true)) => (),
        Ok(Ok(false)) => tracing::debug!("the channel is gone; the message comes again"),
        Ok(Err(error)) => tracing::debug!(%error, "not settled; the message comes again"),
        Err(_) => tracing::debug!("not settled in time; the message comes again"),
    }
}
