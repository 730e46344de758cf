//! Every row that was started has its workflow, and the workflow of one that
//! is acknowledged has completed.

use futures::{StreamExt, TryStreamExt};
use onboard_contract::names::workflow_id;

use crate::audit::histories;
use crate::audit::passes::Audit;
use crate::audit::row::Row;
use crate::audit::sample::Finished;
use crate::audit::visibility::{self, State};
use crate::audit::{AuditError, Kind};

/// Workflows asked for one by one at the same time.
const CONCURRENCY: usize = 8;

/// Judges the workflows of a page of rows.
pub(crate) async fn judge(audit: &mut Audit<'_>, rows: &[Row]) -> Result<(), AuditError> {
    let owed: Vec<&Row> = rows.iter().filter(|row| is_owed(audit, row)).collect();
    let ids: Vec<String> = owed.iter().map(|row| workflow_id(row.event)).collect();
    let temporal = &audit.sources.temporal;
    let listed = visibility::states(temporal, &ids).await?;
    let (sure, unsure): (Vec<&Row>, Vec<&Row>) = owed
        .into_iter()
        .partition(|row| suffices(row, listed.get(&workflow_id(row.event)).copied()));
    let asked: Vec<(&Row, Option<State>)> = futures::stream::iter(unsure)
        .map(async |row| {
            let state = visibility::describe(temporal, &workflow_id(row.event)).await?;
            Ok::<_, AuditError>((row, state))
        })
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    let mut finished: Vec<Finished> = sure.into_iter().filter_map(Finished::of).collect();
    for (row, state) in asked {
        match state {
            Some(State::Completed) => finished.extend(Finished::of(row)),
            state => name_violation(audit, row, state),
        }
    }
    let at_once = audit.sample.offer(finished);
    histories::judge(audit, at_once).await
}

/// Whether the row's workflow must be there: it was started, and Temporal
/// cannot have forgotten it since, nor lost it with its database.
fn is_owed(audit: &Audit<'_>, row: &Row) -> bool {
    let acknowledged_ms = row.acknowledged_at_ms();
    let forgotten = acknowledged_ms
        .is_some_and(|at| at.saturating_add(audit.retention_ms) < audit.scope.now_ms);
    row.was_started() && !forgotten && !audit.lost_workflows.covers(acknowledged_ms)
}

/// Whether what visibility lists says that all is well. It lags: anything
/// else is asked of the workflow itself.
fn suffices(row: &Row, listed: Option<State>) -> bool {
    match (row.acknowledged_at_ms(), listed) {
        // Of a row on its way the row itself tells.
        (_, Some(State::Completed)) | (None, Some(State::Open)) => true,
        (_, _) => false,
    }
}

fn name_violation(audit: &mut Audit<'_>, row: &Row, state: Option<State>) {
    let (kind, detail) = match state {
        Some(State::Completed) => return,
        Some(State::Open) => match row.acknowledged_at_ms() {
            Some(at) if at <= audit.scope.until_ms => {
                (Kind::WorkflowStillOpen, "the row is acknowledged and its workflow runs")
            }
            Some(_) | None => return,
        },
        None => (Kind::WorkflowMissing, "the row was started and Temporal knows no workflow"),
        Some(State::Failed) => (Kind::WorkflowFailed, "its workflow has failed"),
        Some(State::Terminated) => (Kind::WorkflowTerminated, "its workflow was terminated"),
        Some(State::TimedOut) => (Kind::WorkflowTimedOut, "its workflow has timed out"),
        Some(State::Canceled) => (Kind::WorkflowCanceled, "its workflow was canceled"),
    };
    audit.report.violation(kind, row.event, detail);
}
