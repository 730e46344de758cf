//! The one place where deliveries are acked, requeued or dead-lettered.
//!
//! A delivery whose body was cut is given to RabbitMQ, which has all of it and moves it
//! to the dead letters by itself.
//! A delivery that dies between a dead letter's confirm and the ack of the
//! original leaves the dead letter twice, never not at all.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use onboard_contract::Queue;
use onboard_fault::{Step, step};
use onboard_runtime::{Backoff, Shutdown};
use tokio::time::timeout;

use crate::connection::CALL_TIMEOUT;
use crate::screen::CUT_BYTES;
use crate::{Incoming, Publisher, Verdict, dead_letter};

/// The wait before a delivery is requeued, jittered down to its half; without
/// it a message that cannot be handled would spin.
const REQUEUE_AFTER: Duration = Duration::from_secs(2);

/// Lets the handler work on the delivery and does what it says. A handler that
/// panics has not committed anything that it could vouch for: retry.
pub(crate) async fn handle<H, F>(
    mut delivery: Delivery,
    queue: &Queue,
    handler: &H,
    dead_letters: &Publisher,
    shutdown: &Shutdown,
) where
    H: Fn(Incoming) -> F,
    F: Future<Output = Verdict>,
{
    let body = Arc::new(std::mem::take(&mut delivery.data));
    let incoming = Incoming::of(&delivery, &body);
    let judged = AssertUnwindSafe(async { handler(incoming).await }).catch_unwind().await;
    let verdict = judged.unwrap_or_else(|_| {
        tracing::error!(message_id = ?delivery.properties.message_id(), "the handler panicked");
        Verdict::Retry
    });
    settle(&delivery, &body, queue, verdict, dead_letters, shutdown).await;
}

async fn settle(
    delivery: &Delivery,
    body: &[u8],
    queue: &Queue,
    verdict: Verdict,
    dead_letters: &Publisher,
    shutdown: &Shutdown,
) {
    match verdict {
        Verdict::Ack => ack(delivery).await,
        Verdict::Retry => requeue(delivery, shutdown).await,
        Verdict::DeadLetter { .. } if body.len() == CUT_BYTES => nack(delivery, false).await,
        Verdict::DeadLetter { reason, detail } => {
            let letter = dead_letter::Letter { delivery, body, reason, detail: &detail };
            match letter.publish(dead_letters, queue).await {
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
    let acked = step(Step("delivery.ack"), delivery.ack(BasicAckOptions::default()));
    said(timeout(CALL_TIMEOUT, acked).await);
}

async fn requeue(delivery: &Delivery, shutdown: &Shutdown) {
    shutdown.sleep(Backoff::after(REQUEUE_AFTER, REQUEUE_AFTER, 0)).await;
    nack(delivery, true).await;
}

async fn nack(delivery: &Delivery, requeue: bool) {
    let options = BasicNackOptions { requeue, multiple: false };
    let nacked = step(Step("delivery.requeue"), delivery.nack(options));
    said(timeout(CALL_TIMEOUT, nacked).await);
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
