//! The slow look at all unfinished rows, for those that no other query finds.
//!
//! A row with an odd `status`, without a time when it is due, or with a time that
//! never comes is in no slice that the relay asks for. This look walks the index over
//! unfinished rows, and the one over rows whose end is no time, a page at a time, and
//! decodes each row alone. A row whose fields
//! of bookkeeping are odd is mended: it is due at once. A row that cannot be started
//! is set apart. A process that dies here has changed some rows; a new one begins at
//! the first row.

use std::time::Duration;

use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::Hint;
use mongodb::{Collection, Cursor};
use onboard_contract::OutboxStatus;
use onboard_mongo::{Field, StoreError, bounded, raw_document as raw, walk};
use onboard_runtime::clock::millis;

use super::apart::Odd;
use super::due::{NotStartable, needed};
use super::stages::order;
use super::{Outbox, PENDING, Row, SENT, date_or};

/// Rows that MongoDB sends at once.
const BATCH: u32 = 256;
/// The relay puts no row off for longer than this: a time behind it is not the relay's.
const PUT_OFF_MAX: Duration = Duration::from_mins(65);
/// Clocks that differ by less are taken for equal.
const SKEW_MS: i64 = 2_000;
/// A row that was created later than this from now has a producer whose clock is wrong.
pub const AHEAD_MS: i64 = 60_000;

/// The unfinished rows, one after another.
#[derive(Debug)]
pub struct Unfinished {
    outbox: Outbox,
    /// What is left to be read.
    left: Vec<Cursor<RawDocumentBuf>>,
}

/// What a page of unfinished rows came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mended {
    /// Rows that were read; 0 at the end.
    pub read: usize,
    /// Rows that were mended or set apart.
    pub changed: usize,
}

/// What is to be done about a row.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Sound,
    /// Its bookkeeping is odd: it is mended, and due.
    Mend,
    /// It cannot be worked on.
    SetApart(NotStartable),
}

impl Outbox {
    /// All rows that are not acknowledged, and those whose `acknowledgedAt` is no time.
    ///
    /// # Errors
    /// The store failed.
    pub async fn unfinished(&self) -> Result<Unfinished, StoreError> {
        let outbox: Collection<RawDocumentBuf> = self.rows().clone_with_type();
        let mut fields = needed();
        fields.extend(doc! { "startedAt": 1, "sentAt": 1, "aheadSeenAt": 1, "acknowledgedAt": 1 });
        let look = async |filter, index| {
            let find = outbox.find(filter).hint(Hint::Keys(index)).batch_size(BATCH);
            walk("list the unfinished rows", find.projection(fields.clone())).await
        };
        let mut left = vec![look(unfinished_filter(), order()).await?];
        match look(odd_end(), doc! { "acknowledgedAt": 1 }).await {
            Ok(rows) => left.push(rows),
            Err(error) if error.is_retryable() => return Err(error),
            // The setup of this build has not made the index, as `onboard doctor` says.
            Err(_) => (),
        }
        Ok(Unfinished { outbox: self.clone(), left })
    }
}

impl Unfinished {
    /// Reads the next rows, at most so many, mends those that can be mended and sets
    /// those apart that cannot be worked on.
    ///
    /// # Errors
    /// The store failed; the rest is left to another look.
    pub async fn mend_page(&mut self, most: usize) -> Result<Mended, StoreError> {
        let now_ms = self.outbox.mongo.server_ms().await?;
        let (mut read, mut odd) = (0, Vec::new());
        while read < most {
            let Some(rows) = self.left.last_mut() else { break };
            let next = bounded("read an unfinished row", async { rows.try_next().await });
            let Some(row) = next.await? else {
                self.left.pop();
                continue;
            };
            read += 1;
            odd.extend(judged(&row, now_ms));
        }
        let changed = self.outbox.set_apart(odd).await?;
        Ok(Mended { read, changed })
    }
}

/// The row, if there is something to be done about it.
fn judged(raw: &RawDocumentBuf, now_ms: i64) -> Option<Odd> {
    let row = Row::read(&raw::readable(raw));
    match judge(&row, now_ms) {
        Verdict::Sound => None,
        Verdict::Mend => Odd::to_mend(raw),
        Verdict::SetApart(why) => {
            Odd::new(raw, &row, &why.to_string()).filter(|odd| !odd.is_known())
        }
    }
}

fn judge(row: &Row, now_ms: i64) -> Verdict {
    match status_of(row) {
        Err(why) => return Verdict::SetApart(why),
        Ok(_) if row.acknowledged_at.is_other() => return Verdict::Mend,
        Ok(OutboxStatus::Sent) if row.sent_at.known().is_none() => return Verdict::Mend,
        // The quarantine was for a field that is repaired since.
        Ok(OutboxStatus::Sent) if row.quarantined_at != Field::Unset => return Verdict::Mend,
        Ok(OutboxStatus::Sent) => return Verdict::Sound,
        Ok(OutboxStatus::Pending) => (),
    }
    let created_ahead =
        row.created_at.known().is_some_and(|at| at > now_ms.saturating_add(AHEAD_MS));
    if created_ahead && row.ahead_seen_at.known().is_none() {
        return Verdict::Mend;
    }
    let Some(next_ms) = row.next_attempt_at.known() else { return Verdict::Mend };
    let wait_ms = next_ms.saturating_sub(now_ms);
    let never_tried = row.attempts() == 0
        && row.started_at.known().is_none()
        && row.last_error.as_ref().known().is_none();
    let repaired = row.quarantined_at != Field::Unset && NotStartable::is_said_by(row);
    let odd_times = row.started_at.is_other() || row.sent_at != Field::Unset;
    let due_at_once = wait_ms > millis(PUT_OFF_MAX) || never_tried || repaired;
    if odd_times || (wait_ms > SKEW_MS && due_at_once) { Verdict::Mend } else { Verdict::Sound }
}

/// The status of a row that the system can work on.
fn status_of(row: &Row) -> Result<OutboxStatus, NotStartable> {
    let status = row.status()?;
    NotStartable::known(row)?;
    row.id()?;
    row.aggregate_id()?;
    row.delivery()?;
    Ok(status)
}

/// The rows of the index over unfinished rows.
fn unfinished_filter() -> Document {
    doc! { "acknowledgedAt": null }
}

/// The rows whose `acknowledgedAt` is neither a time nor unset, in terms of the index
/// over them.
pub(crate) fn odd_end() -> Document {
    doc! { "acknowledgedAt": { "$type": [
        "double", "string", "object", "array", "binData", "undefined", "objectId", "bool",
        "regex", "dbPointer", "javascript", "symbol", "javascriptWithScope", "int", "timestamp",
        "long", "decimal", "minKey", "maxKey",
    ] } }
}

/// What a row becomes that is mended: due when it is PENDING, with a time when it is
/// SENT, and without times that are none.
pub(super) fn mended() -> Document {
    let of_status = |status: &str, value: Bson, other: Bson| -> Document {
        doc! { "$cond": [{ "$eq": ["$status", status] }, value, other] }
    };
    let created = doc! { "$eq": [{ "$type": "$createdAt" }, "date"] };
    let ahead = doc! { "$gt": ["$createdAt", { "$add": ["$$NOW", AHEAD_MS] }] };
    let seen = date_or("aheadSeenAt", "$$NOW");
    doc! {
        "nextAttemptAt": of_status(PENDING, "$$NOW".into(), "$nextAttemptAt".into()),
        "startedAt": date_or("startedAt", Bson::Null),
        "acknowledgedAt": date_or("acknowledgedAt", Bson::Null),
        "sentAt": of_status(SENT, date_or("sentAt", "$$NOW").into(), Bson::Null),
        "aheadSeenAt": { "$cond": [{ "$and": [created, ahead] }, seen, "$$REMOVE"] },
        "quarantinedAt": of_status(SENT, "$$REMOVE".into(), "$quarantinedAt".into()),
        "lastError": of_status(SENT, Bson::Null, "$lastError".into()),
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::DateTime;
    use onboard_mongo::bson_time::id;
    use uuid::Uuid;

    use super::*;

    const NOW_MS: i64 = 1_700_000_000_000;
    const HOUR_MS: i64 = 3_600_000;

    fn at(wait_ms: i64) -> Bson {
        DateTime::from_millis(NOW_MS + wait_ms).into()
    }

    /// The verdict on a row of which some fields are other than in a new one.
    fn verdict(changed: Document) -> Verdict {
        let mut row = doc! {
            "_id": id(Uuid::from_u128(1)), "aggregateId": id(Uuid::from_u128(2)),
            "eventType": "USER_REGISTERED", "schemaVersion": 1, "status": "PENDING",
            "createdAt": at(-5),
            "startedAt": null, "sentAt": null, "attempts": 0, "nextAttemptAt": at(-5),
            "lastError": null,
        };
        row.extend(changed);
        judge(&Row::read(&row), NOW_MS)
    }

    #[test]
    fn rows_that_the_relay_or_the_worker_has_left_like_that_are_sound() {
        for sound in [
            doc! {},
            doc! { "createdAt": at(AHEAD_MS), "nextAttemptAt": at(SKEW_MS) },
            doc! { "attempts": 1, "nextAttemptAt": at(15_000) },
            doc! { "attempts": "many", "traceparent": 7, "createdAt": "soon" },
            doc! { "attempts": 1, "startedAt": at(-5), "nextAttemptAt": at(HOUR_MS / 12) },
            doc! { "attempts": 11, "refusals": 10, "quarantinedAt": at(-5), "lastError": "no",
            "nextAttemptAt": at(HOUR_MS) },
            doc! { "status": "SENT", "startedAt": at(-5), "sentAt": at(-5) },
            doc! { "status": "SENT", "startedAt": null, "sentAt": at(-5) },
        ] {
            assert_eq!(verdict(sound.clone()), Verdict::Sound, "{sound}");
        }
    }

    #[test]
    fn rows_that_no_look_at_what_is_due_finds_are_mended() {
        for odd in [
            doc! { "nextAttemptAt": "soon" },
            doc! { "nextAttemptAt": null },
            doc! { "nextAttemptAt": at(HOUR_MS / 6) },
            doc! { "nextAttemptAt": DateTime::MAX },
            doc! { "attempts": 3, "nextAttemptAt": at(2 * HOUR_MS) },
            doc! { "startedAt": "then" },
            doc! { "sentAt": at(-5) },
            doc! { "createdAt": at(2 * HOUR_MS) },
            doc! { "attempts": 1, "quarantinedAt": at(-5), "nextAttemptAt": at(HOUR_MS / 6),
            "lastError": "the relay cannot read this row, repair it by hand: it was odd" },
            doc! { "acknowledgedAt": "then" },
            doc! { "status": "SENT", "sentAt": at(-5), "acknowledgedAt": 7 },
            doc! { "status": "SENT", "sentAt": null },
            doc! { "status": "SENT", "sentAt": 7 },
            doc! { "status": "SENT", "sentAt": at(-5), "quarantinedAt": at(-5) },
        ] {
            assert_eq!(verdict(odd.clone()), Verdict::Mend, "{odd}");
        }
    }

    #[test]
    fn rows_that_cannot_be_worked_on_are_set_apart() {
        for odd in [
            doc! { "_id": "text" },
            doc! { "status": "pending" },
            doc! { "status": "pending", "acknowledgedAt": "then" },
            doc! { "status": null },
            doc! { "status": "SENT", "sentAt": at(-5), "aggregateId": 7 },
            doc! { "eventType": "LAMP_LIT" },
            doc! { "expects": "todo" },
        ] {
            let verdict = verdict(odd.clone());
            assert!(matches!(verdict, Verdict::SetApart(_)), "{odd}: {verdict:?}");
        }
    }
}
