//! How many registrations are in each stage, and how long the oldest has been
//! there: what an alarm is raised from.
//!
//! Every query is served by the index over unfinished rows, and counting stops
//! at a limit: what is asked costs the same with a million rows.

use std::time::Duration;

use mongodb::Collection;
use mongodb::bson::{Bson, DateTime, Document, RawDocumentBuf, doc};
use onboard_contract::{OutboxStatus, Stage};
use onboard_mongo::bson_time::date;
use onboard_mongo::{StoreError, ask, field, raw_document as raw};
use onboard_runtime::clock::millis;

use super::{Outbox, PENDING, Row, SENT};

/// Counting stops here: that many is bad enough.
pub const COUNT_MAX: u64 = 10_000;

/// The unfinished registrations of one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InStage {
    /// The stage.
    pub stage: Stage,
    /// How many; at most [`COUNT_MAX`].
    pub count: u64,
    /// How long the oldest has been in it; of PENDING rows, the oldest that is
    /// not quarantined. A row that says it was created in the future counts from when
    /// the relay has seen that.
    pub oldest: Option<Duration>,
}

/// All unfinished registrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stages {
    /// PENDING, STARTED, SENT and STALLED, in this order.
    pub stages: [InStage; 4],
    /// How many rows the relay has quarantined; at most [`COUNT_MAX`].
    pub quarantined: u64,
}

impl Outbox {
    /// Looks at every stage. An acknowledgement is overdue `overdue` after the
    /// row was marked SENT.
    ///
    /// # Errors
    /// The store failed.
    pub async fn stages(&self, overdue: Duration) -> Result<Stages, StoreError> {
        let now_ms = self.mongo.server_ms().await?;
        let times = (now_ms, date(now_ms.saturating_sub(millis(overdue))));
        let (pending, started, sent, stalled, ahead) = tokio::try_join!(
            self.in_stage(Stage::Pending, times),
            self.in_stage(Stage::Started, times),
            self.in_stage(Stage::Sent, times),
            self.in_stage(Stage::Stalled, times),
            self.oldest(ahead(), doc! { "aheadSeenAt": 1 }, "aheadSeenAt", now_ms),
        )?;
        let pending = InStage { oldest: pending.oldest.max(ahead), ..pending };
        let quarantined = self.count(doc! { "quarantinedAt": { "$exists": true } }).await?;
        Ok(Stages { stages: [pending, started, sent, stalled], quarantined })
    }

    /// How many workflows were started within `lately` and are not SENT;
    /// counting stops at `most`.
    ///
    /// # Errors
    /// The store failed.
    pub async fn unsent(&self, lately: Duration, most: u64) -> Result<u64, StoreError> {
        let filter = started_after(self.before_now(lately).await?);
        let outbox = self.rows();
        let count = outbox.count_documents(filter).limit(most);
        ask("count the workflows under way", count).await
    }

    async fn in_stage(
        &self,
        stage: Stage,
        (now_ms, cutoff): (i64, DateTime),
    ) -> Result<InStage, StoreError> {
        let aging = aging(stage, cutoff);
        // Boxed, or the future of a look at all stages would be large.
        let (count, oldest) = tokio::try_join!(
            Box::pin(self.count(filter(stage, cutoff))),
            Box::pin(self.oldest(aging, order(), entered(stage), now_ms))
        )?;
        Ok(InStage { stage, count, oldest })
    }

    async fn count(&self, filter: Document) -> Result<u64, StoreError> {
        let outbox = self.rows();
        let count = outbox.count_documents(filter).limit(COUNT_MAX);
        ask("count the rows of a stage", count).await
    }

    async fn oldest(
        &self,
        filter: Document,
        order: Document,
        entered: &'static str,
        now_ms: i64,
    ) -> Result<Option<Duration>, StoreError> {
        let outbox: Collection<RawDocumentBuf> = self.rows().clone_with_type();
        let find = outbox.find_one(filter).sort(order).projection(doc! { entered: 1 });
        let row = ask("find the oldest row of a stage", find).await?;
        let Some(row) = row.map(|row| raw::readable(&row)) else { return Ok(None) };
        // A row that says no time is as old as its id.
        let since_ms = field::time(&row, entered).known().or_else(|| Row::read(&row).occurred_at());
        Ok(since_ms.map(|since_ms| {
            let age_ms = now_ms.saturating_sub(since_ms);
            Duration::from_millis(u64::try_from(age_ms).unwrap_or_default())
        }))
    }
}

/// The PENDING rows that say they were created in the future, in terms of the index
/// over these rows.
#[must_use]
pub fn ahead() -> Document {
    doc! { "aheadSeenAt": { "$exists": true }, "status": PENDING, "quarantinedAt": null }
}

/// The rows of a stage, in terms of the index over unfinished rows.
#[must_use]
pub fn filter(stage: Stage, cutoff: DateTime) -> Document {
    match stage {
        Stage::Pending => unfinished(PENDING, doc! { "sentAt": null, "startedAt": null }),
        Stage::Started => started_after(DateTime::MIN),
        Stage::Sent => unfinished(SENT, doc! { "sentAt": { "$gte": cutoff } }),
        Stage::Stalled => unfinished(SENT, doc! { "sentAt": { "$lt": cutoff } }),
        Stage::Acknowledged => doc! { "acknowledgedAt": { "$type": "date" } },
    }
}

/// Of the rows of a stage those whose age counts: a PENDING row that is
/// quarantined waits for a reason of its own, and has an alarm of its own. These
/// few come first in the index and are read past.
#[must_use]
pub fn aging(stage: Stage, cutoff: DateTime) -> Document {
    let mut filter = filter(stage, cutoff);
    if stage == Stage::Pending {
        filter.insert("quarantinedAt", Bson::Null);
    }
    filter
}

/// The rows that came to this status before `cutoff` and no further, in the
/// same terms: of PENDING rows those that were started.
#[must_use]
pub fn overdue(status: OutboxStatus, cutoff: DateTime) -> Document {
    match status {
        OutboxStatus::Pending => {
            let started = doc! { "$gt": DateTime::MIN, "$lt": cutoff };
            unfinished(PENDING, doc! { "sentAt": null, "startedAt": started })
        }
        OutboxStatus::Sent => filter(Stage::Stalled, cutoff),
    }
}

/// The order of the index over unfinished rows: within a stage, oldest first.
#[must_use]
pub fn order() -> Document {
    doc! { "status": 1, "sentAt": 1, "startedAt": 1, "_id": 1 }
}

fn started_after(time: DateTime) -> Document {
    unfinished(PENDING, doc! { "sentAt": null, "startedAt": { "$gt": time } })
}

fn unfinished(status: &str, more: Document) -> Document {
    let mut filter = doc! { "acknowledgedAt": null, "status": status };
    filter.extend(more);
    filter
}

/// The field that says when a row entered the stage.
const fn entered(stage: Stage) -> &'static str {
    match stage {
        Stage::Pending => "createdAt",
        Stage::Started => "startedAt",
        Stage::Sent | Stage::Stalled => "sentAt",
        Stage::Acknowledged => "acknowledgedAt",
    }
}
