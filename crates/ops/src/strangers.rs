//! Workflows that stand on the task queue and that no outbox row owns, or that no worker
//! can go on with: each is named with the command that ends it.
//!
//! A bounded number of workflows is looked at. Visibility lags, so each that seems to be
//! a stranger is asked for itself before it is named. Nothing is written here.

use std::collections::HashMap;

use futures::StreamExt;
use onboard_contract::EventId;
use onboard_temporal::{
    Execution, ExecutionStatus, Open, OpenWorkflow, Temporal, TemporalError, command,
};
use serde::Serialize;

use crate::{Operator, OperatorError, times};

/// Workflows in one page.
const PAGE: u16 = 1_000;
/// Pages of all open workflows that are looked at.
const PAGES: usize = 5;
/// Strangers that are named.
const NAMED_MAX: usize = 100;
/// Workflows asked for at the same time.
const CONCURRENCY: usize = 8;

/// What is wrong with a workflow on the task queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// No event type that this build knows has workflows of its type.
    UnknownType,
    /// It is of the type of an event, and no row of the outbox has its id.
    NoRow,
    /// Its workflow task fails again and again.
    TaskFails,
}

/// A workflow that is named.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stranger {
    /// Its id.
    pub workflow_id: String,
    /// Its type.
    pub workflow_type: String,
    /// When it was started.
    #[serde(serialize_with = "times::maybe")]
    pub started_at: Option<i64>,
    /// What is wrong with it.
    pub why: Why,
    /// The same in words.
    pub detail: String,
    /// The command that ends it.
    pub next: String,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Strangers {
    pub(crate) found: Vec<Stranger>,
    /// Whether there are more open workflows, or more strangers, than were looked at.
    pub(crate) more: bool,
}

impl Operator {
    /// Looks for strangers among the open workflows.
    ///
    /// # Errors
    /// Temporal or MongoDB failed.
    pub(crate) async fn strangers(&self) -> Result<Strangers, OperatorError> {
        let temporal = self.needed_temporal()?;
        let mut suspects = self.suspects(temporal).await?;
        let more = suspects.more || suspects.found.len() > NAMED_MAX;
        suspects.found.truncate(NAMED_MAX);
        let named = futures::stream::iter(suspects.found)
            .map(async |(one, why)| name(temporal, one, why).await)
            .buffered(CONCURRENCY);
        futures::pin_mut!(named);
        let mut found = Vec::new();
        while let Some(one) = named.next().await {
            found.extend(one.map_err(OperatorError::Temporal)?);
        }
        Ok(Strangers { found, more })
    }

    async fn suspects(&self, temporal: &Temporal) -> Result<Suspects, OperatorError> {
        let mut suspects = Suspects::default();
        for (which, why) in
            [(Open::UnknownType, Why::UnknownType), (Open::FailingTask, Why::TaskFails)]
        {
            match temporal.open_page(which, None, PAGE).await {
                Ok(page) => {
                    suspects.more |= page.next.is_some();
                    for one in page.found {
                        suspects.add(one, why);
                    }
                }
                // An older server, which does not say whose task fails.
                Err(TemporalError::Refused { .. }) if why == Why::TaskFails => (),
                Err(error) => return Err(OperatorError::Temporal(error)),
            }
        }
        let mut from = None;
        for _ in 0..PAGES {
            let page = temporal.open_page(Open::All, from, PAGE).await;
            let page = page.map_err(OperatorError::Temporal)?;
            for one in self.without_row(page.found).await? {
                suspects.add(one, Why::NoRow);
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        suspects.more |= from.is_some();
        Ok(suspects)
    }

    /// Those of a known type that no row owns.
    async fn without_row(
        &self,
        open: Vec<OpenWorkflow>,
    ) -> Result<Vec<OpenWorkflow>, OperatorError> {
        let known =
            open.into_iter().filter(|one| onboard_events::has_workflows_of(&one.workflow_type));
        let event =
            |one: &OpenWorkflow| onboard_events::of_workflow(&one.workflow_type, &one.workflow_id);
        let known: Vec<_> = known.map(|one| (event(&one), one)).collect();
        let events: Vec<EventId> = known.iter().filter_map(|(event, _)| *event).collect();
        let rows = self.mongo.deliveries().present(&events).await.map_err(OperatorError::Store)?;
        let owned = |event: &Option<EventId>| event.is_some_and(|event| rows.contains(&event));
        Ok(known.into_iter().filter(|(event, _)| !owned(event)).map(|(_, one)| one).collect())
    }
}

/// What seems to be wrong, each workflow once.
#[derive(Default)]
struct Suspects {
    found: Vec<(OpenWorkflow, Why)>,
    places: HashMap<String, usize>,
    more: bool,
}

impl Suspects {
    /// The first reason counts.
    fn add(&mut self, one: OpenWorkflow, why: Why) {
        let place = self.found.len();
        if *self.places.entry(one.workflow_id.clone()).or_insert(place) == place {
            self.found.push((one, why));
        }
    }
}

/// Names it when it has not ended meanwhile.
async fn name(
    temporal: &Temporal,
    one: OpenWorkflow,
    why: Why,
) -> Result<Option<Stranger>, TemporalError> {
    let run = temporal.find(one.workflow_id.clone()).await?;
    let Some(run) = run.filter(|run| run.status == ExecutionStatus::Running) else {
        return Ok(None);
    };
    let fails = run.task.filter(|task| task.fails());
    if why == Why::TaskFails && fails.is_none() {
        return Ok(None);
    }
    let mut detail = words(&one, why);
    if fails.is_some() {
        let account = temporal.account(one.workflow_id.clone()).await?;
        detail.push_str(&failure(&run, account.and_then(|account| account.task_failure)));
    }
    Ok(Some(Stranger {
        next: command::terminate(&one.workflow_id),
        workflow_id: one.workflow_id,
        workflow_type: one.workflow_type,
        started_at: one.started_at_ms,
        why,
        detail,
    }))
}

fn words(one: &OpenWorkflow, why: Why) -> String {
    match why {
        Why::UnknownType => {
            format!("no build here has workflows of the type {}", one.workflow_type)
        }
        Why::NoRow => "no outbox row has this workflow".to_owned(),
        Why::TaskFails => {
            "no worker can go on with it; when it has ended the relay starts it again from its row"
                .to_owned()
        }
    }
}

fn failure(run: &Execution, failure: Option<String>) -> String {
    let tries = run.task.map(|task| task.attempt).unwrap_or_default();
    let failure = failure.map(|failure| format!(": {failure}")).unwrap_or_default();
    format!("; its workflow task fails (try {tries}{failure})")
}
