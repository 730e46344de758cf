//! The relay's side, after the start: note what became of a claimed row.
//!
//! A row that fails while others pass is put off longer and longer and then
//! quarantined: it says so (`quarantinedAt`, `lastError`), costs one try an hour
//! and holds up no other row. A start that is not noted becomes due again with the claim.

use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};
use mongodb::options::Hint;
use onboard_contract::EventId;
use onboard_fault::{Step, step};
use onboard_mongo::bson_time::id;
use onboard_mongo::{StoreError, bounded};
use onboard_runtime::Backoff;
use onboard_runtime::availability::chain;

use super::alone::together_else_alone;
use super::claim::by_id;
use super::due::Due;
use super::{Outbox, PENDING, after_now, date_or};

/// The waits of a row that is refused.
const REFUSED_FIRST: Duration = Duration::from_secs(1);
const REFUSED_CAP: Duration = Duration::from_mins(1);
/// Refusals until a row is quarantined: after about five minutes.
pub const REFUSALS_MAX: u32 = 10;
/// When a quarantined row is tried again, should nobody have acted.
const QUARANTINED_RETRY: Duration = Duration::from_hours(1);

/// What becomes of a row that was refused.
#[derive(Debug, Clone, Copy)]
pub struct Refusal {
    /// Whether it is quarantined.
    pub quarantined: bool,
    /// When it is due again.
    pub retry_in: Duration,
}

impl Outbox {
    /// Notes that the rows' workflows exist, which ends a quarantine. A row
    /// is looked at again after `recheck`, should it still be PENDING then: its
    /// workflow may have been lost together with Temporal's database.
    ///
    /// The majority has it when this returns, so a look at what is due does
    /// not find the rows any more. A row that cannot be noted spoils the update for
    /// all of them: then each is noted alone. The claim of such a row runs out, and its
    /// workflow is found again.
    ///
    /// # Errors
    /// The store failed, or refused every row of several; some or all may be noted.
    pub async fn mark_started(
        &self,
        events: &[EventId],
        recheck: Duration,
    ) -> Result<(), StoreError> {
        let mark = |events| self.mark_together(events, recheck);
        let mut refused = Vec::new();
        for marked in together_else_alone(events.to_vec(), mark).await {
            match marked {
                Ok(()) => (),
                Err(error) if !error.is_retryable() => refused.push(error),
                Err(error) => return Err(error),
            }
        }
        let all = refused.len() == events.len();
        match refused.pop() {
            // Refused to all alike: it is not about a row.
            Some(error) if all && events.len() > 1 => Err(error),
            Some(error) => {
                let error = chain(&error);
                tracing::error!(error, "MongoDB refuses to note the start of a workflow");
                Ok(())
            }
            None => Ok(()),
        }
    }

    async fn mark_together(
        &self,
        events: Vec<EventId>,
        recheck: Duration,
    ) -> Result<(), StoreError> {
        let ids: Vec<Bson> = events.iter().map(|event| id(event.uuid())).collect();
        let note = vec![
            doc! { "$set": {
                "startedAt": date_or("startedAt", "$$NOW"),
                "nextAttemptAt": after_now(recheck),
                "lastError": null,
            } },
            doc! { "$unset": ["refusals", "quarantinedAt", "aheadSeenAt"] },
        ];
        let outbox = self.rows();
        let update = outbox.update_many(note_filter(ids), note).hint(Hint::Keys(by_id()));
        let noted = step(Step("relay.note"), async { update.await });
        bounded("note the starts on the rows", noted).await.map(drop)
    }

    /// Gives a row back, since a server did not answer.
    ///
    /// # Errors
    /// The store failed.
    pub async fn release(
        &self,
        due: &Due,
        retry_in: Duration,
        reason: &str,
    ) -> Result<(), StoreError> {
        let update = vec![doc! { "$set": {
            "nextAttemptAt": after_now(retry_in),
            "attempts": tried(due),
            "lastError": literal(reason),
        } }];
        self.update(Step("relay.release"), "give the row back", due.event_id, update).await
    }

    /// Gives a row back, since it was refused. `alone` says that other
    /// rows pass meanwhile: then it is this row, and after [`REFUSALS_MAX`] of
    /// these it is quarantined.
    ///
    /// # Errors
    /// The store failed.
    pub async fn refuse(
        &self,
        due: &Due,
        alone: bool,
        reason: &str,
    ) -> Result<Refusal, StoreError> {
        let refusals = due.refusals.saturating_add(u32::from(alone));
        let quarantined = refusals >= REFUSALS_MAX;
        let retry_in = if quarantined {
            QUARANTINED_RETRY
        } else {
            Backoff::after(REFUSED_FIRST, REFUSED_CAP, due.attempts)
        };
        let mut refused = doc! {
            "nextAttemptAt": after_now(retry_in),
            "attempts": tried(due),
            "refusals": refusals,
            "lastError": literal(reason),
        };
        if quarantined {
            refused.insert("quarantinedAt", date_or("quarantinedAt", "$$NOW"));
        }
        let update = vec![doc! { "$set": refused }];
        self.update(Step("relay.release"), "give the row back", due.event_id, update).await?;
        Ok(Refusal { quarantined, retry_in })
    }

    async fn update(
        &self,
        taken: Step,
        what: &'static str,
        event: EventId,
        update: Vec<Document>,
    ) -> Result<(), StoreError> {
        let outbox = self.rows();
        let update = outbox.update_one(doc! { "_id": id(event.uuid()), "status": PENDING }, update);
        bounded(what, step(taken, async { update.await })).await.map(drop)
    }
}

/// These rows, while they are PENDING. Meant for the index over ids.
#[must_use]
pub fn note_filter(ids: Vec<Bson>) -> Document {
    doc! { "_id": { "$in": ids }, "status": PENDING }
}

/// The tries with this one: the same number whether a claim has counted it or not.
fn tried(due: &Due) -> i32 {
    i32::try_from(due.attempts.saturating_add(1)).unwrap_or(1)
}

/// The reason as a value, whatever characters it begins with.
fn literal(reason: &str) -> Document {
    let reason: String = reason.chars().take(500).collect();
    doc! { "$literal": reason }
}
