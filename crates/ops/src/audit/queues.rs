//! No dead letters of any consumer, and nothing left in the queues of this program
//! once everything is settled. Messages in the queue of another program count
//! only while a row is unfinished.

use std::time::Duration;

use onboard_broker::{DeadLetters, DeadLettersError};
use onboard_contract::{ACKNOWLEDGEMENTS_QUEUE, Queue};
use onboard_events::TODO_QUEUE;
use tokio::time::Instant;

use crate::audit::passes::Audit;
use crate::audit::progress::Pass;
use crate::audit::{AuditError, Kind};
use crate::letters::queues;

/// Dead letters looked at; further ones are only counted.
const LOOKED_AT_MAX: u64 = 1_000;
/// How long a settled system has to take its last messages.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Judges all queues.
pub(crate) async fn judge(audit: &mut Audit<'_>) -> Result<(), AuditError> {
    judge_dead_letters(audit).await?;
    judge_left_over(audit).await
}

async fn judge_dead_letters(audit: &mut Audit<'_>) -> Result<(), AuditError> {
    for queue in queues(&audit.sources.mongo).await.map_err(AuditError::Store)? {
        let of_todo = queue == TODO_QUEUE;
        match judge_letters(audit, queue).await {
            // No letter waits where there is no queue; `doctor` says so.
            Err(AuditError::RabbitMq(error)) if error.is_missing() && !of_todo => (),
            judged => judged?,
        }
    }
    Ok(())
}

/// What is looked at is back in its order when the connection closes. Letters
/// bring no time that could be trusted, so all of them count.
async fn judge_letters(audit: &mut Audit<'_>, queue: Queue) -> Result<(), AuditError> {
    let named = queue.dead_letter_queue.clone();
    let letters = open(audit, queue).await?;
    let read = read_letters(audit, &letters, &named).await;
    letters.close().await;
    read.map_err(AuditError::RabbitMq)
}

async fn open(audit: &Audit<'_>, queue: Queue) -> Result<DeadLetters, AuditError> {
    let config = &audit.sources.broker;
    let letters = DeadLetters::open(config, queue, "onboard audit", onboard_events::ids).await;
    letters.map_err(AuditError::RabbitMq)
}

async fn read_letters(
    audit: &mut Audit<'_>,
    letters: &DeadLetters,
    queue: &str,
) -> Result<(), DeadLettersError> {
    let mut looked = 0;
    let total = u64::from(letters.count().await?);
    while looked < LOOKED_AT_MAX
        && let Some(letter) = letters.next().await?
    {
        looked += 1;
        let id = letter.message_id.or_else(|| letter.event_id.map(|event| event.to_string()));
        let id = id.unwrap_or_else(|| "-".to_owned());
        let of_todo = queue == TODO_QUEUE.dead_letter_queue;
        let reason = letter.reason;
        let detail = if of_todo { reason } else { format!("{reason} in {queue}") };
        audit.report.violation(Kind::DeadLetter, id, detail);
        audit.tell(Pass::Queues, looked, total.max(looked));
    }
    for _ in looked..total {
        audit.report.violation(Kind::DeadLetter, queue, "not looked at");
    }
    Ok(())
}

/// While anything is in flight or unfinished, its message belongs there; when
/// nothing is, a repeat may still be on its way for a moment.
async fn judge_left_over(audit: &mut Audit<'_>) -> Result<(), AuditError> {
    if audit.report.in_flight > 0 || audit.report.unfinished > 0 {
        return Ok(());
    }
    let deadline = Instant::now() + PATIENCE;
    judge_queue(audit, TODO_QUEUE, deadline).await?;
    match judge_queue(audit, ACKNOWLEDGEMENTS_QUEUE, deadline).await {
        Err(AuditError::RabbitMq(error)) if error.is_missing() => Ok(()),
        judged => judged,
    }
}

async fn judge_queue(
    audit: &mut Audit<'_>,
    queue: Queue,
    deadline: Instant,
) -> Result<(), AuditError> {
    loop {
        let letters = open(audit, queue.clone()).await?;
        let waiting = letters.waiting().await;
        letters.close().await;
        let waiting = waiting.map_err(AuditError::RabbitMq)?;
        if waiting == 0 {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let detail = format!("{waiting} messages wait although everything is settled");
            audit.report.violation(Kind::MessageLeftOver, queue.name, detail);
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
