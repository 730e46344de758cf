//! `onboard consumers backfill`: rows of the past expect one more consumer, and
//! their workflows deliver to it.
//!
//! A run that still runs is left alone. When it completes, its row is not
//! acknowledged, since the consumer is awaited: the relay's rebuild sees that and
//! starts the workflow again for the consumer. So does it for every row of a page
//! whose workflows were not started before this process died.

use futures::StreamExt;
use onboard_contract::{ConsumerName, Start};
use onboard_fault::{Step, step};
use onboard_outbox::ChangedRow;
use onboard_runtime::availability::chain;
use onboard_temporal::{Started, Temporal};
use serde::Serialize;

use super::journal::Journal;
use super::{CONCURRENCY, Change, Refusal};
use crate::{Operator, OperatorError, times};

/// What a backfill came to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Backfilled {
    /// Names this run in the journal.
    pub run_id: String,
    /// The consumer.
    pub consumer: ConsumerName,
    /// Whether nothing was done on purpose.
    pub dry_run: bool,
    /// By whom.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// From when on rows were looked at.
    #[serde(serialize_with = "times::at")]
    pub since: i64,
    /// How many rows were made to expect the consumer, or would be.
    pub rows: u64,
    /// How many workflows were started again.
    pub started: u64,
    /// How many rows the relay starts or starts again: their workflow runs, or
    /// has not begun, or Temporal has refused it.
    pub left_to_relay: u64,
    /// When the oldest row was created; absent when there is none.
    #[serde(serialize_with = "times::maybe")]
    pub oldest_row_at: Option<i64>,
    /// Retention may have removed rows from before then.
    #[serde(serialize_with = "times::maybe")]
    pub removed_before: Option<i64>,
}

impl Operator {
    /// Makes every row that was created since then expect the consumer, and
    /// starts the workflow again of each that is SENT.
    ///
    /// A workflow that still runs is left: when it completes, the relay's rebuild
    /// sees that the row is not acknowledged and starts it again. A row that is
    /// PENDING is the relay's, too.
    ///
    /// # Errors
    /// A server cannot be reached. The rows that were changed by then reach the
    /// consumer through the relay; run again for the others.
    pub async fn backfill(
        &self,
        change: &Change,
        since_ms: i64,
    ) -> Result<Result<Backfilled, Refusal>, OperatorError> {
        if let Some(refusal) = self.refuses_to_backfill(&change.consumer).await? {
            return Ok(Err(refusal));
        }
        let temporal = self.needed_temporal()?;
        let outbox = self.mongo.deliveries();
        let journal = Journal::new(self, change, "backfill");
        let mut report = self.begin(change, &journal, since_ms).await?;
        let mut rows = outbox.not_expecting(&change.consumer, since_ms);
        while let Some(page) = rows.page().await.map_err(OperatorError::Store)? {
            if change.dry_run || page.is_empty() {
                report.rows += page.len() as u64;
                continue;
            }
            let entry = journal.record(&page).await?;
            let changed = outbox.expect_too(&page, &change.consumer).await;
            report.rows += changed.map_err(OperatorError::Store)?;
            let changed = outbox.changed(&page).await.map_err(OperatorError::Store)?;
            self.start_again(temporal, changed, &mut report).await?;
            journal.complete(entry).await?;
        }
        Ok(Ok(report))
    }

    async fn refuses_to_backfill(
        &self,
        consumer: &ConsumerName,
    ) -> Result<Option<Refusal>, OperatorError> {
        let name = consumer.clone();
        if name == onboard_events::TODO {
            return Ok(Some(Refusal::BuiltIn(name)));
        }
        let known = self.known_consumers().await?;
        Ok(match known.into_iter().find(|one| one.name == name) {
            None => Some(Refusal::Unknown(name)),
            Some(known) if known.retired_at_ms.is_some() => Some(Refusal::Retired(name)),
            Some(_) => None,
        })
    }

    async fn begin(
        &self,
        change: &Change,
        journal: &Journal<'_>,
        since_ms: i64,
    ) -> Result<Backfilled, OperatorError> {
        let reach = self.mongo.deliveries().reach().await.map_err(OperatorError::Store)?;
        Ok(Backfilled {
            run_id: journal.run().to_string(),
            consumer: change.consumer.clone(),
            dry_run: change.dry_run,
            actor: change.actor.clone(),
            reason: change.reason.clone(),
            since: since_ms,
            rows: 0,
            started: 0,
            left_to_relay: 0,
            oldest_row_at: reach.oldest_ms,
            removed_before: reach.removed_before_ms,
        })
    }

    /// Starts the workflows of rows that are SENT and not acknowledged.
    async fn start_again(
        &self,
        temporal: &Temporal,
        rows: Vec<ChangedRow>,
        report: &mut Backfilled,
    ) -> Result<(), OperatorError> {
        let rows = rows.into_iter().filter(|row| !row.acknowledged);
        let (sent, pending): (Vec<ChangedRow>, Vec<ChangedRow>) = rows.partition(|row| row.sent);
        report.left_to_relay += pending.len() as u64;
        let starting = sent.into_iter().map(|row| self.start_one(temporal, row));
        let mut starting = futures::stream::iter(starting).buffer_unordered(CONCURRENCY);
        while let Some(started) = starting.next().await {
            if started? {
                report.started += 1;
            } else {
                report.left_to_relay += 1;
            }
        }
        Ok(())
    }

    /// Whether the row has a new run.
    async fn start_one(&self, temporal: &Temporal, row: ChangedRow) -> Result<bool, OperatorError> {
        let start = Start {
            event_type: row.event_type,
            event_id: row.event,
            aggregate_id: row.aggregate_id,
            traceparent: row.traceparent,
            overdue_ms: u64::try_from(self.overdue_ms()).unwrap_or(u64::MAX),
            delivery: row.delivery,
        };
        match step(Step("redrive.restart"), temporal.repeat_workflow(&start)).await {
            Ok(Started::Now) => Ok(true),
            Ok(Started::Already) => Ok(false),
            Err(error) if error.is_retryable() => Err(OperatorError::Temporal(error)),
            // It concerns this workflow alone.
            Err(error) => {
                tracing::error!(event_id = %row.event, error = chain(&error), "not started");
                Ok(false)
            }
        }
    }
}
