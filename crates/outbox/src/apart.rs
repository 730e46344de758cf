//! Rows that the relay cannot work on are set apart, each by itself: the row says
//! since when (`quarantinedAt`) and why (`lastError`), and is looked at again later.
//!
//! A row is addressed by its own `_id`, byte by byte, since that may be of any type.
//! One command changes many rows, and MongoDB refuses each of them alone; a command
//! that it refuses as a whole is repeated row by row. A process that dies here has
//! changed some rows, and the next look finds the others.

use std::collections::HashSet;
use std::time::Duration;

use mongodb::bson::raw::RawArrayBuf;
use mongodb::bson::{
    Bson, DateTime, Document, RawDocument, RawDocumentBuf, cstr, doc, serialize_to_raw_document_buf,
};
use onboard_contract::EventId;
use onboard_fault::{Step, step};
use onboard_mongo::bson_time::{date, id};
use onboard_mongo::{OPERATION_DEADLINE, StoreError, bounded, raw_document as raw};
use onboard_runtime::clock::millis;

use super::{Outbox, Row, SENT, after_now, date_or};

/// When a row that is set apart is looked at again.
const LOOK_AGAIN: Duration = Duration::from_mins(10);
/// Rows changed with one command.
const AT_ONCE: usize = 100;
/// The validator admits so many characters in `lastError`.
const REASON_CHARS_MAX: usize = 500;

const WHAT: &str = "set rows apart";

/// A row that is to be changed by its address.
#[derive(Debug)]
pub(super) struct Odd {
    /// Its `_id` as a filter.
    address: RawDocumentBuf,
    /// Its `nextAttemptAt` when it was read: another one is there since it was repaired,
    /// or set apart by another look.
    seen: Option<DateTime>,
    /// Its `_id` in words.
    shown: String,
    /// Why it is set apart; `None` of a row that is mended.
    reason: Option<String>,
    /// Whether the row says so already.
    known: bool,
}

impl Odd {
    /// A row that is to be set apart; `None` of a row without an id.
    pub(super) fn new(raw: &RawDocument, row: &Row, reason: &str) -> Option<Self> {
        let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
        let said = row.last_error.as_ref().known().is_some_and(|said| *said == reason);
        let known = said && row.quarantined_at.known().is_some();
        let seen = row.next_attempt_at.known().map(date);
        let (address, shown) = (raw::address(raw)?, raw::shown_id(raw));
        Some(Self { address, seen, shown, reason: Some(reason), known })
    }

    /// A row that can be read and cannot be changed as it should be.
    ///
    /// # Errors
    /// The id cannot be written.
    pub(super) fn of(event: EventId, reason: &str) -> Result<Self, StoreError> {
        let address = raw_of(&doc! { "_id": id(event.uuid()) })?;
        let reason = Some(reason.chars().take(REASON_CHARS_MAX).collect());
        Ok(Self { address, seen: None, shown: event.to_string(), reason, known: false })
    }

    /// A row that is to be mended.
    pub(super) fn to_mend(raw: &RawDocument) -> Option<Self> {
        let (address, shown) = (raw::address(raw)?, raw::shown_id(raw));
        Some(Self { address, seen: None, shown, reason: None, known: false })
    }

    /// Whether nothing is left to be done.
    pub(super) fn is_known(&self) -> bool {
        self.known
    }

    fn update(&self) -> Document {
        let change = match &self.reason {
            Some(reason) => set_apart(reason),
            None => super::unfinished::mended(),
        };
        doc! { "u": [{ "$set": change }] }
    }
}

impl Outbox {
    /// Sets rows apart, or mends them, in groups; how many were changed. Rows that MongoDB
    /// has refused to change are left alone for a while.
    ///
    /// # Errors
    /// The store failed; some of the rows may be changed.
    pub(super) async fn set_apart(&self, rows: Vec<Odd>) -> Result<usize, StoreError> {
        let mut changed = 0;
        let rows: Vec<Odd> =
            rows.into_iter().filter(|row| !self.immovable.waits(&row.shown)).collect();
        for group in rows.chunks(AT_ONCE) {
            let refused = match self.change(group).await {
                // An answer that quotes a text which is no UTF-8 cannot be read, either.
                Err(error) if !error.is_retryable() => self.change_each(group).await?,
                refused => refused?,
            };
            changed += group.len() - refused.len();
            for at in &refused {
                group.get(*at).into_iter().for_each(|row| self.immovable.refused(&row.shown));
            }
            for (at, row) in group.iter().enumerate() {
                self.tell(row, refused.contains(&at));
            }
        }
        Ok(changed)
    }

    /// Changes rows with one command; the places of those that MongoDB has refused.
    async fn change(&self, rows: &[Odd]) -> Result<HashSet<usize>, StoreError> {
        let command = command(self.name(), rows)?;
        let update = self.mongo.database().run_raw_command(command);
        let update = step(Step("relay.put_off"), async { update.await });
        let answer = bounded(WHAT, update).await?;
        let errors = answer.get_array("writeErrors").into_iter().flatten();
        let places = errors.filter_map(|error| error.as_document()?.get_i32("index").ok());
        Ok(places.filter_map(|place| usize::try_from(place).ok()).collect())
    }

    async fn change_each(&self, rows: &[Odd]) -> Result<HashSet<usize>, StoreError> {
        let mut refused = HashSet::new();
        for (at, row) in rows.iter().enumerate() {
            match self.change(std::slice::from_ref(row)).await {
                Ok(none) if none.is_empty() => (),
                Err(error) if error.is_retryable() => return Err(error),
                Ok(_) | Err(_) => drop(refused.insert(at)),
            }
        }
        Ok(refused)
    }

    /// Names a row in the log, once.
    fn tell(&self, row: &Odd, refused: bool) {
        let Odd { shown, reason, .. } = row;
        match (refused, reason) {
            (true, _) if self.mongo.noted().is_news(format!("{WHAT} {shown}")) => {
                tracing::error!(row = shown, reason, "MongoDB refuses to set an outbox row apart");
            }
            (false, Some(reason)) if !row.known => {
                tracing::error!(row = shown, error = reason, "an outbox row is quarantined");
            }
            (false, None) => tracing::warn!(row = shown, "an outbox row is mended and due"),
            (true | false, _) => (),
        }
    }
}

/// What becomes of a row that is set apart. A row that is done stays as it is: it may
/// have been repaired since it was read.
fn set_apart(reason: &str) -> Document {
    doc! {
        "nextAttemptAt": {
            "$cond": [{ "$eq": ["$status", SENT] }, "$nextAttemptAt", after_now(LOOK_AGAIN)],
        },
        "quarantinedAt": date_or("quarantinedAt", "$$NOW"),
        "acknowledgedAt": date_or("acknowledgedAt", Bson::Null),
        "lastError": { "$literal": reason },
    }
}

/// An `update` command whose filters are the addresses of the rows.
fn command(collection: &str, rows: &[Odd]) -> Result<RawDocumentBuf, StoreError> {
    let mut updates = RawArrayBuf::new();
    for row in rows {
        let mut update = raw_of(&row.update())?;
        update.append(cstr!("q"), as_read(row)?);
        updates.push(update);
    }
    let limit_ms = millis(OPERATION_DEADLINE);
    let mut command =
        raw_of(&doc! { "update": collection, "ordered": false, "maxTimeMS": limit_ms })?;
    command.append(cstr!("updates"), updates);
    command.append(cstr!("writeConcern"), raw_of(&doc! { "w": "majority" })?);
    Ok(command)
}

/// The row, unless it is done or another than when it was read.
fn as_read(row: &Odd) -> Result<RawDocumentBuf, StoreError> {
    let mut filter = row.address.clone();
    filter.append(cstr!("acknowledgedAt"), raw_of(&doc! { "$not": { "$type": "date" } })?);
    if let Some(seen) = row.seen {
        filter.append(cstr!("nextAttemptAt"), seen);
    }
    Ok(filter)
}

fn raw_of(document: &Document) -> Result<RawDocumentBuf, StoreError> {
    serialize_to_raw_document_buf(document)
        .map_err(|error| StoreError::from_driver(WHAT, error.into()))
}

#[cfg(test)]
mod tests {
    use mongodb::bson::Bson;
    use onboard_mongo::testing::{NO_UTF8, broken};

    use super::*;

    fn odd(row: &Document, reason: &str) -> Odd {
        let raw = broken(row);
        Odd::new(&raw, &Row::read(&raw::readable(&raw)), reason).unwrap()
    }

    #[test]
    fn a_row_that_says_it_already_is_known() {
        let mut row = doc! { "_id": "x", "lastError": "why" };
        assert!(!odd(&row, "why").is_known(), "it is not quarantined");
        row.insert("quarantinedAt", DateTime::MIN);
        assert!(odd(&row, "why").is_known());
        assert!(!odd(&row, "another").is_known());
    }

    #[test]
    fn the_command_has_the_ids_as_they_are_and_the_reasons_as_values() {
        let rows = [odd(&doc! { "_id": NO_UTF8 }, "$status"), odd(&doc! { "_id": 7 }, "b")];
        let command = command("outbox", &rows).unwrap();
        let updates = command.get_array("updates").unwrap();
        let mut filters = updates.into_iter().map(|update| {
            let update = update.unwrap().as_document().unwrap().to_owned();
            raw::address(update.get_document("q").unwrap()).unwrap()
        });
        assert_eq!(filters.next(), Some(broken(&doc! { "_id": NO_UTF8 })));
        assert_eq!(filters.next(), Some(broken(&doc! { "_id": 7 })));
        let reason = set_apart("$status").remove("lastError");
        assert_eq!(reason, Some(Bson::Document(doc! { "$literal": "$status" })));
    }
}
