//! Outbox rows that bear no event's id: no registration is known by it, and yet a row
//! is there that somebody must repair or remove.
//!
//! They are read as raw documents and named by their `_id` as it is, whatever its
//! type. Looking changes nothing.

use mongodb::Collection;
use mongodb::bson::{RawDocumentBuf, doc};
use onboard_mongo::raw_document::{readable, shown_id};
use serde::Serialize;

use crate::error::ask;
use crate::row::without_payload;
use crate::slice::Slice;
use crate::{Operator, OperatorError, times};

/// Rows among which one is looked for by its id in words.
const SEARCHED_MAX: i64 = 10_000;

/// A row of the outbox that bears no event's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OddRow {
    /// Its `_id` in words.
    pub id: String,
    /// Since when the relay leaves it alone; absent when it has not looked yet.
    #[serde(serialize_with = "times::maybe")]
    pub quarantined_at: Option<i64>,
    /// What is wrong with it.
    pub reason: String,
}

impl OddRow {
    /// The row, unless it bears an event's id.
    pub(crate) fn of(raw: &RawDocumentBuf, row: &onboard_outbox::Row) -> Option<Self> {
        if row.id.known().is_some() {
            return None;
        }
        let unseen = || "its _id is no UUID of subtype 4; the relay has not looked yet".to_owned();
        Some(Self {
            id: shown_id(raw),
            quarantined_at: row.quarantined_at.known(),
            reason: row.last_error.clone().known().unwrap_or_else(unseen),
        })
    }
}

impl Operator {
    /// The row with this id in words, as a list names it: one whose id is a text, or one
    /// that the relay has quarantined.
    ///
    /// # Errors
    /// MongoDB failed.
    pub(crate) async fn odd_row(&self, id: &str) -> Result<Option<OddRow>, OperatorError> {
        const WHAT: &str = "look for an odd outbox row";
        let outbox: Collection<RawDocumentBuf> = self.mongo.outbox().clone_with_type();
        let named = outbox.find_one(doc! { "_id": id }).projection(without_payload());
        let named = ask(WHAT, named).await?;
        if let Some(found) = named.and_then(|raw| odd(&raw)) {
            return Ok(Some(found));
        }
        let Slice { filter, order } = Slice::quarantined();
        let quarantined =
            outbox.find(filter).sort(order).limit(SEARCHED_MAX).projection(without_payload());
        let rows: Vec<RawDocumentBuf> = ask(WHAT, quarantined).await?;
        Ok(rows.iter().filter_map(odd).find(|found| found.id == id))
    }
}

fn odd(raw: &RawDocumentBuf) -> Option<OddRow> {
    OddRow::of(raw, &onboard_outbox::Row::read(&readable(raw)))
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{Document, serialize_to_raw_document_buf};
    use uuid::Uuid;

    use super::*;
    use crate::operator::id;

    fn of(row: &Document) -> Option<OddRow> {
        odd(&serialize_to_raw_document_buf(row).unwrap())
    }

    #[test]
    fn a_row_without_an_events_id_is_named_by_the_id_that_it_has() {
        let event = Uuid::from_u128(7);
        assert_eq!(of(&doc! { "_id": id(event) }), None);
        let text = of(&doc! { "_id": event.to_string(), "lastError": "why" }).unwrap();
        assert_eq!((text.id, text.reason), (event.to_string(), "why".to_owned()));
        assert!(of(&doc! { "_id": 7 }).unwrap().reason.contains("has not looked"));
    }
}
