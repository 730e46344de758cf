//! Registrations: those that were named, and those that stand still.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use mongodb::bson::{DateTime, doc};
use onboard_contract::{EventId, Stage};
use onboard_runtime::clock::{self, millis};

use super::act::Work;
use super::tally::Tally;
use super::{Item, Outcome, Run};
use crate::error::bounded;
use crate::row::{Row, without_payload};
use crate::slice::Slice;
use crate::{OperatorError, Selection};

/// Rows worked on at the same time.
const CONCURRENCY: usize = 8;

impl Run<'_> {
    /// The ids of the order that no letter answers to.
    pub(crate) async fn work_off_ids(&self, tally: &mut Tally<'_>) -> Result<(), OperatorError> {
        for id in &self.order.selection.ids {
            if tally.is_answered(id) || tally.room() == 0 {
                continue;
            }
            let Ok(event) = id.parse::<EventId>() else {
                let why = "no dead letter has this message id, and a registration's is a UUID";
                let outcome = Outcome::Left(why.to_owned());
                if !tally.is_letter_alone(id, &outcome) {
                    tally.note(
                        None,
                        &Item {
                            id: id.clone(),
                            cause: String::new(),
                            outcome,
                            without: Vec::new(),
                        },
                    );
                }
                continue;
            };
            let work = Work { event: Some(event), letter: None, only_ended: false };
            let item = self.redrive_one(work).await?;
            if let Some(item) = item.filter(|item| !tally.is_letter_alone(id, &item.outcome)) {
                tally.note(Some(event), &item);
            }
        }
        Ok(())
    }

    /// The rows that stand still, slice by slice, the oldest first, as they are
    /// when the run begins.
    pub(crate) async fn work_off_rows(&self, tally: &mut Tally<'_>) -> Result<(), OperatorError> {
        let age = self.order.older_than.unwrap_or_default();
        let now_ms = clock::now_ms();
        for slice in slices(&self.order.selection, age, now_ms, self.operator.overdue_ms()) {
            self.work_off_slice(slice, tally).await?;
        }
        Ok(())
    }

    async fn work_off_slice(
        &self,
        slice: Slice,
        tally: &mut Tally<'_>,
    ) -> Result<(), OperatorError> {
        const WHAT: &str = "list what stands still";
        let outbox = self.operator.mongo.outbox();
        let find = outbox.find(slice.filter).sort(slice.order).projection(without_payload());
        let mut rows = bounded(WHAT, find).await?;
        while tally.room() > 0 {
            let mut batch = Vec::new();
            while batch.len() < CONCURRENCY.min(tally.room()) {
                let Some(document) = bounded(WHAT, rows.try_next()).await? else { break };
                let row = Row::read(&document, clock::now_ms(), self.operator.overdue_ms());
                batch.extend(row.filter(|row| !tally.knows(row.registration_id)));
            }
            if batch.is_empty() {
                break;
            }
            self.work_off_batch(&batch, tally).await?;
        }
        Ok(())
    }

    async fn work_off_batch(
        &self,
        batch: &[Row],
        tally: &mut Tally<'_>,
    ) -> Result<(), OperatorError> {
        let cases = batch.iter().map(|row| self.redrive_row(row));
        let mut working = futures::stream::iter(cases).buffer_unordered(CONCURRENCY);
        let mut failed = None;
        while let Some((event, worked)) = working.next().await {
            match worked {
                Ok(Some(item)) => tally.note(Some(event), &item),
                Ok(None) => (),
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn redrive_row(&self, row: &Row) -> (EventId, Result<Option<Item>, OperatorError>) {
        let selection = &self.order.selection;
        let stalled = selection.stalled && row.stage == Stage::Stalled;
        let put_off = selection.quarantined && row.stage == Stage::Pending;
        let event = row.registration_id;
        let work = Work { event: Some(event), letter: None, only_ended: !(stalled || put_off) };
        (event, self.redrive_one(work).await)
    }
}

fn slices(selection: &Selection, age: Duration, now_ms: i64, overdue_ms: i64) -> Vec<Slice> {
    let before = |ms: i64| DateTime::from_millis(now_ms.saturating_sub(ms));
    let of = |stage| Slice::of(stage, before(overdue_ms));
    let mut slices = Vec::new();
    if selection.quarantined {
        slices.push(Slice::quarantined());
        slices.push(of(Stage::Pending).and(doc! { "lastError": { "$type": "string" } }));
    }
    if selection.failed {
        slices.extend([of(Stage::Started), of(Stage::Sent)]);
    }
    if selection.failed || selection.stalled {
        slices.push(of(Stage::Stalled));
    }
    let old = doc! { "createdAt": { "$lte": before(millis(age)) } };
    slices.into_iter().map(|slice| slice.and(old.clone())).collect()
}
