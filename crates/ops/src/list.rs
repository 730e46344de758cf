//! `onboard list`: registrations by stage and age, oldest first.
//!
//! Each stage is a slice of the outbox that an index serves, the oldest in it
//! first. The first rows of every slice asked for are merged by age, so a listing
//! reads about as many rows of each stage as it shows, however many there are.

use std::time::Duration;

use futures::TryStreamExt;
use futures::future::join_all;
use mongodb::bson::{DateTime, Document, doc};
use onboard_contract::{Stage, TODO_QUEUE};
use onboard_runtime::availability::chain;
use onboard_runtime::clock;
use onboard_temporal::{Execution, ExecutionStatus, TemporalError};
use serde::Serialize;

use crate::error::bounded;
use crate::row::without_payload;
use crate::slice::Slice;
use crate::times::millis;
use crate::{LetterSummary, Operator, OperatorError, Row, letters};

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
    /// Since the registration.
    pub age_ms: Option<i64>,
    /// How its workflow stands, where it was asked.
    pub workflow: Option<&'static str>,
    /// Tries of what it waits in: the relay's, or the activity's.
    pub tries: u32,
    /// What it waits for, or why it does not go on, in a few words.
    pub reason: String,
}

/// What the list comes to.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listing {
    /// How many were listed.
    pub listed: u32,
    /// Whether there are more than the limit.
    pub more: bool,
    /// The dead letters; absent when RabbitMQ could not be asked.
    pub dead_letters: Option<LetterSummary>,
    /// Who could not be asked, and why.
    pub unreachable: Vec<String>,
}

impl Operator {
    /// Lists registrations, handing each to `each` as it is found.
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
            listing.unreachable.push(format!("Temporal: {}", chain(error)));
        }
        let mut rows = Vec::new();
        for slice in slices(query, clock::now_ms(), self.overdue_ms()) {
            rows.extend(self.first_rows(slice, query.limit).await?);
        }
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
        match letters::look(&self.broker, TODO_QUEUE, |_| ()).await {
            Ok(summary) => listing.dead_letters = Some(summary),
            Err(error) => listing.unreachable.push(format!("RabbitMQ: {}", chain(&error))),
        }
        Ok(listing)
    }

    /// The oldest rows of a slice, one more than the limit.
    async fn first_rows(&self, slice: Slice, limit: u32) -> Result<Vec<Row>, OperatorError> {
        let outbox = self.mongo.outbox();
        let find = outbox
            .find(slice.filter)
            .sort(slice.order)
            .limit(i64::from(limit) + 1)
            .projection(without_payload());
        let documents: Vec<Document> =
            bounded("list the registrations", async { find.await?.try_collect().await }).await?;
        let read = |document| Row::read(document, clock::now_ms(), self.overdue_ms());
        Ok(documents.iter().filter_map(read).collect())
    }

    async fn hand_out(&self, batch: Vec<Row>, each: &mut impl FnMut(&Listed)) {
        let listed = join_all(batch.into_iter().map(|row| self.describe(row))).await;
        listed.iter().for_each(each);
    }

    async fn describe(&self, row: Row) -> Listed {
        let started = matches!(row.stage, Stage::Started | Stage::Sent | Stage::Stalled);
        let asked = match self.temporal() {
            Ok(temporal) if started => {
                Asked::of(temporal.find_execution(row.registration_id).await)
            }
            Ok(_) | Err(_) => Asked::Nobody,
        };
        let execution = asked.found();
        Listed {
            age_ms: row.age_ms(clock::now_ms()),
            workflow: execution.map(|execution| execution.status.as_str()),
            tries: execution
                .and_then(|execution| execution.pending.as_ref())
                .map_or(row.attempts, |activity| activity.attempt),
            reason: reason(&row, &asked),
            row,
        }
    }
}

/// What Temporal said about a row's workflow.
enum Asked {
    /// It was not asked, or gave no answer.
    Nobody,
    Lost,
    Found(Execution),
}

impl Asked {
    fn of(answer: Result<Option<Execution>, TemporalError>) -> Self {
        match answer {
            Ok(Some(execution)) => Self::Found(execution),
            Ok(None) => Self::Lost,
            Err(_) => Self::Nobody,
        }
    }

    const fn found(&self) -> Option<&Execution> {
        match self {
            Self::Found(execution) => Some(execution),
            Self::Nobody | Self::Lost => None,
        }
    }
}

/// In a few words.
fn reason(row: &Row, asked: &Asked) -> String {
    if row.quarantined_at.is_some() {
        return format!("quarantined: {}", row.last_error.as_deref().unwrap_or("no reason noted"));
    }
    let waits = || match row.stage {
        Stage::Pending => {
            row.last_error.clone().unwrap_or_else(|| "waits for the relay".to_owned())
        }
        Stage::Started if row.expects_more() => {
            format!("waits for its publish; awaits {}", row.awaited_names())
        }
        Stage::Started => "waits for its publish".to_owned(),
        Stage::Sent | Stage::Stalled if row.expects_more() => {
            format!("waits for {}", row.awaited_names())
        }
        Stage::Sent | Stage::Stalled => "waits for todo service".to_owned(),
        Stage::Acknowledged => String::new(),
    };
    let execution = match asked {
        Asked::Nobody => return waits(),
        Asked::Lost => return "its workflow is lost".to_owned(),
        Asked::Found(execution) => execution,
    };
    match (execution.status, &execution.pending) {
        (ExecutionStatus::Running, Some(activity)) => match &activity.last_failure {
            Some((word, message)) => format!("{word}: {message}"),
            None => waits(),
        },
        (ExecutionStatus::Running, None) => waits(),
        (status, _) => format!("its workflow is {}", status.as_str()),
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
