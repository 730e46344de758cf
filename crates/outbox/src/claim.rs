//! The relay's claim of rows that a look has found due, before it starts their workflows.
//!
//! A claim moves `nextAttemptAt` ahead by compare-and-set, many rows at once, so of
//! several relays one works on a row; one that dies lets the row become due
//! again. `outcome` notes the result on the claimed row.

use std::time::Duration;

use mongodb::Collection;
use mongodb::bson::{Bson, DateTime, Document, RawDocumentBuf, doc};
use mongodb::options::{Hint, ReadConcern, WriteConcern};
use onboard_contract::EventId;
use onboard_fault::{Step, step};
use onboard_mongo::bson_time::{date, id};
use onboard_mongo::{StoreError, ask, bounded, raw_document as raw};
use onboard_runtime::availability::chain;
use onboard_runtime::clock::{self, millis};

use super::alone::together_else_alone;
use super::apart::Odd;
use super::due::Due;
use super::{Outbox, PENDING, Row};

/// Added to the lease of a claim at random, at most: see [`Outbox::claim`].
pub const LEASE_JITTER: Duration = Duration::from_secs(1);
/// A count of tries above this is no count: it begins anew.
const ATTEMPTS_MAX: i32 = 1_000_000_000;

impl Outbox {
    /// Claims rows until `lease` from now, with one update. A row that another
    /// relay has claimed since it was seen, or that is SENT by now, is left out. The majority
    /// has the claim when this returns, so the next look does not find the rows any more.
    ///
    /// The time until which a row is claimed tells whose it is: it has
    /// jitter ([`LEASE_JITTER`]), and two relays that draw the same one both start the
    /// workflow, of which there is one all the same.
    ///
    /// Returns the events of the rows that it got. A row that MongoDB has refused to change
    /// lately is not tried. A row that cannot be claimed spoils
    /// the update for all of them: then each is claimed alone, and the row is set apart.
    ///
    /// # Errors
    /// The store failed, or refused every row; some or all may be claimed, and become
    /// due again.
    pub async fn claim(&self, rows: &[&Due], lease: Duration) -> Result<Vec<EventId>, StoreError> {
        let claim = |rows| self.claim_together(rows, lease);
        let rows: Vec<&Due> = rows
            .iter()
            .copied()
            .filter(|row| !self.immovable.waits(&row.event_id.to_string()))
            .collect();
        let (mut ours, mut failed) = (Vec::with_capacity(rows.len()), None);
        let mut refused = Vec::new();
        let claims = together_else_alone(rows.clone(), claim).await;
        let alone = claims.len() == rows.len();
        for (claimed, row) in claims.into_iter().zip(&rows) {
            match claimed {
                Ok(events) => ours.extend(events),
                Err(error) if alone && !error.is_retryable() => {
                    refused.push(Odd::of(row.event_id, &chain(&error))?);
                    failed = Some(error);
                }
                Err(error) => failed = Some(error),
            }
        }
        let set_apart = self.set_apart(refused).await?;
        match failed {
            // Refused to all alike: it is not about a row.
            Some(error) if ours.is_empty() && set_apart == 0 => Err(error),
            _ => Ok(ours),
        }
    }

    async fn claim_together(
        &self,
        rows: Vec<&Due>,
        lease: Duration,
    ) -> Result<Vec<EventId>, StoreError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Bson> = rows.iter().map(|row| id(row.event_id.uuid())).collect();
        let seen = rows.iter().map(|row| row.seen).collect();
        let lease_ms = millis(lease + LEASE_JITTER.mul_f64(clock::jitter()));
        let until = date(self.mongo.server_ms().await?.saturating_add(lease_ms));
        let outbox = self.rows();
        let update = outbox
            .update_many(claim_filter(ids.clone(), seen), claimed(until))
            .hint(Hint::Keys(by_id()))
            .write_concern(WriteConcern::majority());
        let claim = step(Step("relay.claim"), async { update.await });
        let done = bounded("claim the rows", claim).await?;
        match usize::try_from(done.modified_count) {
            Ok(claimed) if claimed == rows.len() => {
                Ok(rows.iter().map(|row| row.event_id).collect())
            }
            Ok(0) => Ok(Vec::new()),
            _ => self.claimed_until(ids, until).await,
        }
    }

    /// Which of these rows this very claim has moved, as the primary has them.
    async fn claimed_until(
        &self,
        ids: Vec<Bson>,
        until: DateTime,
    ) -> Result<Vec<EventId>, StoreError> {
        let outbox: Collection<RawDocumentBuf> = self.rows().clone_with_type();
        let find = outbox
            .find(doc! { "_id": { "$in": ids }, "status": PENDING, "nextAttemptAt": until })
            .hint(Hint::Keys(by_id()))
            .projection(by_id())
            .read_concern(ReadConcern::local());
        let rows: Vec<RawDocumentBuf> = ask("list the claimed rows", find).await?;
        Ok(rows.iter().filter_map(|row| Row::read(&raw::readable(row)).id.known()).collect())
    }
}

/// What a claim makes of a row. The tries decide nothing: something else than a count
/// does not keep the row from being claimed.
fn claimed(until: DateTime) -> Vec<Document> {
    let is_count = doc! { "$and": [
        { "$isNumber": "$attempts" },
        { "$gte": ["$attempts", 0] },
        { "$lt": ["$attempts", ATTEMPTS_MAX] },
    ] };
    let one_more = doc! { "$add": [{ "$toInt": "$attempts" }, 1] };
    vec![doc! { "$set": {
        "nextAttemptAt": until,
        "attempts": { "$cond": [is_count, one_more, 1] },
    } }]
}

/// These rows, unless they have moved on since they were seen with these times when
/// they are due: a claim moves `nextAttemptAt` by a whole lease. Meant for the index
/// over ids.
#[must_use]
pub fn claim_filter(ids: Vec<Bson>, seen: Vec<DateTime>) -> Document {
    doc! { "_id": { "$in": ids }, "status": PENDING, "nextAttemptAt": { "$in": seen } }
}

/// The index over ids, said aloud: the server might try the one over PENDING
/// rows, which walks a backlog.
#[must_use]
pub fn by_id() -> Document {
    doc! { "_id": 1 }
}
