//! No dead letters, and nothing left in the queue once everything is settled.

use std::time::Duration;

use onboard_broker::{DeadLetters, DeadLettersError, depths};
use onboard_contract::names::{DEAD_LETTER_QUEUE, QUEUE};

use crate::audit::Audit;
use crate::progress::Pass;
use crate::{AuditError, Kind};

/// Dead letters looked at; further ones are only counted.
const LOOKED_AT_MAX: u64 = 1_000;
/// How long a settled system has to take its last messages.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Judges both queues.
pub(crate) async fn judge(audit: &mut Audit<'_>) -> Result<(), AuditError> {
    judge_dead_letters(audit).await?;
    judge_left_over(audit).await
}

/// What is looked at is back in its order when the connection closes. Letters
/// bring no time that could be trusted, so all of them count.
async fn judge_dead_letters(audit: &mut Audit<'_>) -> Result<(), AuditError> {
    let config = &audit.sources.broker;
    let letters = DeadLetters::open(config, "onboard audit").await.map_err(AuditError::RabbitMq)?;
    let read = read_letters(audit, &letters).await;
    letters.close().await;
    read.map_err(AuditError::RabbitMq)
}

async fn read_letters(
    audit: &mut Audit<'_>,
    letters: &DeadLetters,
) -> Result<(), DeadLettersError> {
    let mut looked = 0;
    let total = u64::from(letters.count().await?);
    while looked < LOOKED_AT_MAX
        && let Some(letter) = letters.next().await?
    {
        looked += 1;
        let id = letter.message_id.or_else(|| letter.event_id.map(|event| event.to_string()));
        let id = id.unwrap_or_else(|| "-".to_owned());
        audit.report.violation(Kind::DeadLetter, id, letter.reason);
        audit.tell(Pass::Queues, looked, total.max(looked));
    }
    for _ in looked..total {
        audit.report.violation(Kind::DeadLetter, DEAD_LETTER_QUEUE, "not looked at");
    }
    Ok(())
}

/// While anything is in flight or unfinished, its message belongs there; when
/// nothing is, a repeat may still be on its way for a moment.
async fn judge_left_over(audit: &mut Audit<'_>) -> Result<(), AuditError> {
    if audit.report.in_flight > 0 || audit.report.unfinished > 0 {
        return Ok(());
    }
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let (waiting, _) = depths(&audit.sources.broker).await.map_err(AuditError::RabbitMq)?;
        if waiting == 0 {
            return Ok(());
        }
        if tokio::time::Instant::now() >= deadline {
            let detail = format!("{waiting} messages wait although everything is settled");
            audit.report.violation(Kind::MessageLeftOver, QUEUE, detail);
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
