//! `onboard list`: registrations, and the other events of the outbox, by stage and age,
//! oldest first.
//!
//! Each stage is a slice of the outbox that an index serves, the oldest in it
//! first. The first rows of every slice asked for are merged by age, so a listing
//! reads about as many rows of each stage as it shows, however many there are.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use mongodb::Collection;
use mongodb::bson::{DateTime, Document, RawDocumentBuf, doc};
use onboard_contract::Stage;
use onboard_events::TODO_QUEUE;
use onboard_mongo::raw_document::readable;
use onboard_runtime::clock::{self, millis};
use onboard_runtime::plain::told;
use onboard_temporal::ExecutionStatus;
use serde::Serialize;

use crate::case::{Case, Looked, WorkflowRun};
use crate::error::ask;
use crate::row::without_payload;
use crate::slice::Slice;
use crate::{
    LetterSummary, OddRow, Operator, OperatorError, Row, Stranger, letters, limit, routing, rules,
};

/// A row this old that nobody has started is stuck.
const PENDING_STUCK: Duration = Duration::from_secs(30);
/// Rows whose workflows are looked up at the same time.
const BATCH: usize = 16;

/// What to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct ListQuery {
    /// Only this stage; otherwise every stage but ACKNOWLEDGED.
    pub stage: Option<Stage>,
    /// Only what stands still.
    pub stuck: bool,
    /// Only what is at least this old.
    pub older_than: Option<Duration>,
    /// At most so many.
    pub limit: u32,
}

/// One line of the list.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// The row.
    #[serde(flatten)]
    pub row: Row,
    /// Since the event.
    pub age_ms: Option<i64>,
    /// How its workflow stands, where it was asked.
    pub workflow: Option<&'static str>,
    /// Tries of what it waits in: the relay's, or the activity's.
    pub tries: u32,
    /// What it waits for, or why it does not go on, in a few words.
    pub reason: String,
    /// The command that lets it go on, where only another tool can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What the list comes to.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listing {
    /// How many were listed.
    pub listed: u32,
    /// Whether there are more than the limit.
    pub more: bool,
    /// The dead letters of the todo service; absent when RabbitMQ could not be asked.
    pub dead_letters: Option<LetterSummary>,
    /// Those of every queue, by the name of the queue that they wait in. A queue that
    /// does not exist is left out.
    pub dead_letters_by_queue: BTreeMap<String, LetterSummary>,
    /// Workflows that no row owns, or that no worker can go on with.
    pub strangers: Vec<Stranger>,
    /// Whether there may be more of them: a bounded number of workflows is looked at.
    pub more_strangers: bool,
    /// What holds back all workflows.
    pub notes: Vec<String>,
    /// Rows that bear no event's id: the relay cannot work on them.
    pub odd_rows: Vec<OddRow>,
    /// Who could not be asked, and why.
    pub unreachable: Vec<String>,
}

impl Operator {
    /// Lists rows, handing each to `each` as it is found.
    ///
    /// # Errors
    /// MongoDB failed. That another server is away is part of the answer.
    pub async fn list(
        &self,
        query: &ListQuery,
        mut each: impl FnMut(&Listed),
    ) -> Result<Listing, OperatorError> {
        let mut listing = Listing::default();
        if let Err(error) = self.temporal() {
            listing.unreachable.push(told(error));
        }
        let mut rows = Vec::new();
        for slice in slices(query, clock::now_ms(), self.overdue_ms()) {
            let (read, odd) = self.first_rows(slice, query.limit).await?;
            rows.extend(read);
            listing.odd_rows.extend(odd);
        }
        listing.odd_rows.sort_by(|one, other| one.id.cmp(&other.id));
        listing.odd_rows.dedup();
        rows.sort_by_key(|row| (row.created_at, row.registration_id));
        rows.dedup_by_key(|row| row.registration_id);
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        listing.more = rows.len() > limit;
        rows.truncate(limit);
        listing.listed = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let mut rows = rows.into_iter();
        loop {
            let batch: Vec<Row> = rows.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                break;
            }
            self.hand_out(batch, &mut each).await;
        }
        self.look_at_letters(&mut listing).await?;
        self.look_for_strangers(&mut listing).await;
        Ok(listing)
    }

    /// Nothing is said of Temporal when it is known to be away already.
    async fn look_for_strangers(&self, listing: &mut Listing) {
        let Ok(temporal) = self.temporal() else { return };
        listing.notes.extend(limit::note(temporal).await);
        listing.notes.extend(routing::note(temporal).await);
        match self.strangers().await {
            Ok(strangers) => {
                (listing.strangers, listing.more_strangers) = (strangers.found, strangers.more);
            }
            Err(error) => listing.unreachable.push(told(&error)),
        }
    }

    /// Counts the dead letters of every queue. No letter waits where there is no
    /// queue; `consumers list` and `doctor` say that it is missing.
    async fn look_at_letters(&self, listing: &mut Listing) -> Result<(), OperatorError> {
        for queue in letters::queues(&self.mongo).await.map_err(OperatorError::Store)? {
            let of_todo = queue == TODO_QUEUE;
            let name = queue.dead_letter_queue.to_string();
            let summary = match letters::look(&self.broker, queue, |_| ()).await {
                Ok(summary) => summary,
                Err(error) if error.is_missing() && !of_todo => continue,
                Err(error) => {
                    listing.unreachable.push(told(&error));
                    return Ok(());
                }
            };
            if of_todo {
                listing.dead_letters = Some(summary.clone());
            }
            listing.dead_letters_by_queue.insert(name, summary);
        }
        Ok(())
    }

    /// The oldest rows of a slice, one more than the limit, and those among them that
    /// bear no event's id.
    async fn first_rows(
        &self,
        slice: Slice,
        limit: u32,
    ) -> Result<(Vec<Row>, Vec<OddRow>), OperatorError> {
        let outbox: Collection<RawDocumentBuf> = self.mongo.outbox().clone_with_type();
        let find = outbox
            .find(slice.filter)
            .sort(slice.order)
            .limit(i64::from(limit) + 1)
            .projection(without_payload());
        let documents: Vec<RawDocumentBuf> = ask("list the registrations", find).await?;
        let (mut rows, mut odd) = (Vec::with_capacity(documents.len()), Vec::new());
        for document in documents {
            let row = onboard_outbox::Row::read(&readable(&document));
            odd.extend(OddRow::of(&document, &row));
            rows.extend(Row::of(row, clock::now_ms(), self.overdue_ms()));
        }
        Ok((rows, odd))
    }

    async fn hand_out(&self, batch: Vec<Row>, each: &mut impl FnMut(&Listed)) {
        let listed = join_all(batch.into_iter().map(|row| self.describe(row))).await;
        listed.iter().for_each(each);
    }

    async fn describe(&self, row: Row) -> Listed {
        let started = matches!(row.stage, Stage::Started | Stage::Sent | Stage::Stalled);
        let workflow = match (self.temporal(), row.workflow_id()) {
            (Ok(temporal), Some(id)) if started => {
                temporal.find(id).await.map_or(Looked::NotAsked, Looked::of)
            }
            (Ok(_) | Err(_), _) => Looked::NotAsked,
        };
        let status = workflow.found().map(|run| run.status);
        let pending = workflow.found().and_then(|run| run.pending.as_ref());
        let (age_ms, attempts) = (row.age_ms(clock::now_ms()), row.attempts);
        let tries = pending.map_or(attempts, |activity| activity.attempt);
        let failure = self.failure_of(&row, status).await;
        let workflow = workflow.map(|run| WorkflowRun { failure, ..WorkflowRun::from(run) });
        let case = Case { workflow, row: Some(row.clone()), ..Case::default() };
        let found = rules::judge(&case);
        Listed {
            age_ms,
            workflow: status.map(ExecutionStatus::as_str),
            tries,
            reason: found.iter().find_map(|one| one.reason.clone()).unwrap_or_default(),
            next: found.into_iter().find_map(|one| one.next),
            row,
        }
    }

    /// What a workflow failed with, which its history tells. Without an answer the
    /// status alone is listed.
    async fn failure_of(
        &self,
        row: &Row,
        status: Option<ExecutionStatus>,
    ) -> Option<(String, String)> {
        let id = row.workflow_id().filter(|_| status == Some(ExecutionStatus::Failed))?;
        self.temporal().ok()?.account(id).await.ok()??.failure
    }
}

/// The slices to list.
fn slices(query: &ListQuery, now_ms: i64, overdue_ms: i64) -> Vec<Slice> {
    let before = |ms: i64| DateTime::from_millis(now_ms.saturating_sub(ms));
    let overdue = before(overdue_ms);
    let unfinished = [Stage::Pending, Stage::Started, Stage::Sent, Stage::Stalled];
    let stages = query.stage.map_or(unfinished.to_vec(), |stage| vec![stage]);
    let mut slices = Vec::new();
    for stage in stages {
        let slice = Slice::of(stage, overdue);
        match (query.stuck, stage) {
            (false, _) | (true, Stage::Stalled) => slices.push(slice),
            (true, Stage::Pending) => {
                let waiting = before(millis(PENDING_STUCK));
                slices.push(slice.and(doc! { "createdAt": { "$lte": waiting } }));
                slices.push(Slice::ahead(waiting));
                slices.push(Slice::quarantined());
            }
            (true, Stage::Started) => {
                slices.push(slice.and(doc! { "startedAt": { "$lt": overdue } }));
            }
            // What moves is not stuck.
            (true, Stage::Sent | Stage::Acknowledged) => (),
        }
    }
    let old = query.older_than.map_or(Document::new(), |age| {
        doc! { "createdAt": { "$lte": before(millis(age)) } }
    });
    slices.into_iter().map(|slice| slice.and(old.clone())).collect()
}
