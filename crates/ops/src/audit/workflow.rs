//! The workflow of every row that was started.

use futures::{StreamExt, TryStreamExt};
use onboard_temporal::ExecutionStatus;

use crate::Row;
use crate::audit::AuditError;
use crate::audit::passes::Audit;
use crate::audit::visibility;
use crate::case::{Case, Looked, WorkflowRun};

/// Workflows asked for one by one at the same time.
const CONCURRENCY: usize = 8;

/// Asks for the workflows of a page of cases that must have one.
pub(crate) async fn look(audit: &Audit<'_>, cases: &mut [Case]) -> Result<(), AuditError> {
    let before_ms = audit.workflows_before_ms;
    let owed = cases.iter_mut().filter_map(|case| {
        case.removed.workflows_before_ms = before_ms;
        let id = is_owed(case).then(|| case.row.as_ref()?.workflow_id()).flatten()?;
        Some((id, case))
    });
    let owed: Vec<(String, &mut Case)> = owed.collect();
    let ids: Vec<String> = owed.iter().map(|(id, _)| id.clone()).collect();
    let temporal = &audit.sources.temporal;
    let listed = visibility::states(temporal, &ids).await?;
    let mut unsure = Vec::new();
    for (id, case) in owed {
        match listed.get(&id).copied().filter(|status| suffices(case, *status)) {
            Some(status) => case.workflow = Looked::Found(WorkflowRun::from(status)),
            None => unsure.push((id, case)),
        }
    }
    futures::stream::iter(unsure)
        .map(async |(id, case)| {
            let found = visibility::describe(temporal, &id).await?;
            case.workflow = Looked::of(found.map(WorkflowRun::from));
            Ok::<_, AuditError>(())
        })
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await
}

/// Whether the row's workflow must be there: it was started, and Temporal
/// cannot have forgotten it since, nor lost it with its database.
fn is_owed(case: &Case) -> bool {
    let started = |row: &Row| {
        let times = [row.started_at, row.sent_at, row.acknowledged_at];
        times.iter().any(Option::is_some)
    };
    let gone = |done: i64| done < case.removed.workflows_before_ms;
    case.row.as_ref().is_some_and(started) && !case.acknowledged_at().is_some_and(gone)
}

/// Whether what visibility lists says that all is well. It lags: anything
/// else is asked of the workflow itself.
fn suffices(case: &Case, listed: ExecutionStatus) -> bool {
    match listed {
        ExecutionStatus::Completed => true,
        // The row's status says how far an unfinished event is.
        ExecutionStatus::Running => case.is_unacknowledged(),
        ExecutionStatus::Failed
        | ExecutionStatus::Cancelled
        | ExecutionStatus::Terminated
        | ExecutionStatus::TimedOut => false,
    }
}
