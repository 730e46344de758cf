//! `onboard consumers retire`: no event waits for a consumer any more.
//!
//! Each page of rows is recorded, changed by one update and then told to its
//! workflows. A run that starts meanwhile with what its row said before is told
//! by the next run of the command, which tells the workflows of the last day
//! again: a workflow takes the same waiver any number of times.
//!
//! When the process dies here, rows that were changed await the consumer no more,
//! and their workflows may: the journal names them, and the same command tells
//! them.

use std::time::{Duration, Instant};

use futures::StreamExt;
use onboard_contract::{ConsumerName, EventId};
use onboard_fault::{Step, step};
use onboard_outbox::consumers::CHANGED_AT_ONCE;
use onboard_outbox::{ChangedRow, Consumers};
use onboard_runtime::Backoff;
use onboard_runtime::availability::chain;
use onboard_temporal::{Signalled, Temporal};
use serde::Serialize;

use super::journal::Journal;
use super::{CONCURRENCY, Change, Refusal};
use crate::{Operator, OperatorError};

/// How long a busy workflow is asked again.
const BUSY_MAX: Duration = Duration::from_secs(2);

/// What a retirement came to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Retired {
    /// Names this run in the journal.
    pub run_id: String,
    /// The consumer.
    pub consumer: ConsumerName,
    /// By whom.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// How many rows await the consumer no more.
    pub rows: u64,
    /// How many running workflows were told.
    pub told: u64,
    /// How many workflows took no signal; the next run of the command tells them.
    pub not_told: u64,
    /// How many rows await the consumer now; counting stops at 10,000. They were
    /// written meanwhile: some process still has the consumer in its setting.
    pub still_awaited: u64,
}

/// What became of one signal.
enum Told {
    Yes,
    NoRun,
    No,
}

impl Operator {
    /// Notes that the consumer is retired, waives it on every unfinished row that
    /// awaits it, and tells the workflows.
    ///
    /// # Errors
    /// A server cannot be reached. Run again: the command goes on.
    pub async fn retire(&self, change: &Change) -> Result<Result<Retired, Refusal>, OperatorError> {
        if let Some(refusal) = self.refuses_to_retire(&change.consumer).await? {
            return Ok(Err(refusal));
        }
        let temporal = self.needed_temporal()?;
        let journal = Journal::new(self, change, "retire");
        let noted = Consumers::new(self.mongo.of_auth()).note_retired(&change.consumer).await;
        noted.map_err(OperatorError::Store)?;
        let mut report = Retired {
            run_id: journal.run().to_string(),
            consumer: change.consumer.clone(),
            actor: change.actor.clone(),
            reason: change.reason.clone(),
            rows: 0,
            told: 0,
            not_told: 0,
            still_awaited: 0,
        };
        let earlier = journal.earlier().await?;
        self.waive_rows(temporal, change, &journal, &mut report).await?;
        for entry in earlier {
            let untold = self.tell(temporal, &entry.events, &mut report).await?;
            if untold == 0 {
                journal.complete(entry.id).await?;
            }
        }
        let awaited = self.mongo.deliveries().awaited_by(&change.consumer).await;
        report.still_awaited = awaited.map_err(OperatorError::Store)?.rows;
        Ok(Ok(report))
    }

    async fn refuses_to_retire(
        &self,
        consumer: &ConsumerName,
    ) -> Result<Option<Refusal>, OperatorError> {
        let name = consumer.clone();
        if name == onboard_events::TODO {
            return Ok(Some(Refusal::BuiltIn(name)));
        }
        if self.known_consumers().await?.iter().any(|one| one.name == name) {
            return Ok(None);
        }
        // Rows may expect it although setup has not noted it.
        let awaited = self.mongo.deliveries().awaited_by(&name).await;
        let awaited = awaited.map_err(OperatorError::Store)?.rows > 0;
        Ok(if awaited { None } else { Some(Refusal::Unknown(name)) })
    }

    async fn waive_rows(
        &self,
        temporal: &Temporal,
        change: &Change,
        journal: &Journal<'_>,
        report: &mut Retired,
    ) -> Result<(), OperatorError> {
        let outbox = self.mongo.deliveries();
        let mut rows = outbox.awaiting(&change.consumer).await.map_err(OperatorError::Store)?;
        loop {
            let page = rows.page().await.map_err(OperatorError::Store)?;
            if page.is_empty() {
                return Ok(());
            }
            let entry = journal.record(&page).await?;
            let waived = outbox.waive(&page, &change.consumer, &change.reason).await;
            report.rows += waived.map_err(OperatorError::Store)?;
            if self.tell(temporal, &page, report).await? == 0 {
                journal.complete(entry).await?;
            }
        }
    }

    /// Tells the workflows of these events; how many of them took no signal.
    async fn tell(
        &self,
        temporal: &Temporal,
        events: &[EventId],
        report: &mut Retired,
    ) -> Result<u64, OperatorError> {
        let consumer = report.consumer.clone();
        let outbox = self.mongo.deliveries();
        let mut rows = Vec::with_capacity(events.len());
        for page in events.chunks(CHANGED_AT_ONCE) {
            rows.extend(outbox.changed(page).await.map_err(OperatorError::Store)?);
        }
        let telling = rows.iter().map(|row| tell_one(temporal, row, &consumer));
        let mut telling = futures::stream::iter(telling).buffer_unordered(CONCURRENCY);
        let mut untold = 0;
        while let Some(told) = telling.next().await {
            match told? {
                Told::Yes => report.told += 1,
                Told::NoRun => (),
                Told::No => untold += 1,
            }
        }
        report.not_told += untold;
        Ok(untold)
    }
}

/// A workflow that is about to end takes no signal until it has.
async fn tell_one(
    temporal: &Temporal,
    row: &ChangedRow,
    consumer: &ConsumerName,
) -> Result<Told, OperatorError> {
    let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(500));
    let begun = Instant::now();
    loop {
        match step(Step("redrive.signal"), temporal.waive(row.event_type, row.event, consumer))
            .await
        {
            Ok(Signalled::Delivered) => return Ok(Told::Yes),
            Ok(Signalled::NoWorkflow) => return Ok(Told::NoRun),
            Ok(Signalled::Busy) if begun.elapsed() < BUSY_MAX => {
                tokio::time::sleep(backoff.failed()).await;
            }
            Ok(Signalled::Busy) => return Ok(Told::No),
            Err(error) if error.is_retryable() => return Err(OperatorError::Temporal(error)),
            // It concerns this workflow alone.
            Err(error) => {
                tracing::error!(event_id = %row.event, error = chain(&error), "the workflow is not signalled");
                return Ok(Told::No);
            }
        }
    }
}
