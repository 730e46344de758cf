//! Reads the histories of finished events.

use futures::{StreamExt, TryStreamExt};
use temporalio_client::errors::WorkflowInteractionError;
use temporalio_client::{Client, UntypedWorkflow, WorkflowFetchHistoryOptions};

use crate::audit::history::flaw;
use crate::audit::passes::Audit;
use crate::audit::progress::Pass;
use crate::audit::sample::Finished;
use crate::audit::{AuditError, Kind};

const WHAT: &str = "hand out a history";
/// Histories read at the same time.
const CONCURRENCY: usize = 8;
/// Histories read between two words of progress.
const BATCH: usize = 100;

/// Judges those that were drawn.
pub(crate) async fn judge_sample(audit: &mut Audit<'_>) -> Result<(), AuditError> {
    let drawn = audit.sample.take();
    let total = drawn.len() as u64;
    for batch in drawn.chunks(BATCH) {
        judge(audit, batch.to_vec()).await?;
        audit.tell(Pass::Histories, audit.report.histories, total);
    }
    Ok(())
}

/// Judges these.
pub(crate) async fn judge(
    audit: &mut Audit<'_>,
    finished: Vec<Finished>,
) -> Result<(), AuditError> {
    let temporal = &audit.sources.temporal;
    let flaws: Vec<(Finished, Option<String>)> = futures::stream::iter(finished)
        .map(async |one| Ok::<_, AuditError>((one, find_flaw(temporal, one).await?)))
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    for (one, flaw) in flaws {
        audit.report.histories += 1;
        if let Some(flaw) = flaw {
            audit.report.violation(Kind::HistoryIncomplete, one.event, flaw);
        }
    }
    Ok(())
}

async fn find_flaw(client: &Client, one: Finished) -> Result<Option<String>, AuditError> {
    let handle =
        client.get_workflow_handle::<UntypedWorkflow>(one.event_type.workflow_id(one.event));
    let history = handle.fetch_history(WorkflowFetchHistoryOptions::default());
    match history.into_events().await {
        Ok(events) => Ok(flaw(&events, one)),
        // It was there a moment before: somebody deletes them.
        Err(WorkflowInteractionError::NotFound(_)) => Ok(None),
        Err(WorkflowInteractionError::Rpc(status)) => {
            Err(AuditError::Temporal { what: WHAT, source: Box::new(status) })
        }
        Err(other) => Ok(Some(format!("it cannot be read: {other}"))),
    }
}
