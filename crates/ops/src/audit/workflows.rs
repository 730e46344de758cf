//! Every workflow has its outbox row.

use onboard_contract::names::{ATTRIBUTE_USER, WORKFLOW};
use onboard_contract::{EventId, EventType};
use temporalio_common::protos::temporal::api::workflow::v1::WorkflowExecutionInfo;
use uuid::Uuid;

use crate::audit::inbox::{Origin, existing_rows, unexplained};
use crate::audit::passes::Audit;
use crate::audit::progress::Pass;
use crate::audit::visibility::{List, count, describe, of_events, started_at_ms, workflow};
use crate::audit::{AuditError, Kind};

/// Judges all workflows of the task queue.
pub(crate) async fn judge(audit: &mut Audit<'_>) -> Result<(), AuditError> {
    let query = of_events(&audit.sources.task_queue);
    let total = count(&audit.sources.temporal, &query).await?;
    let mut list = List::of(&audit.sources.temporal, query);
    let mut done = 0;
    while let Some(page) = list.next().await? {
        done += page.len() as u64;
        let judged = page.into_iter().filter(|run| audit.scope.judges(started_at_ms(run)));
        let runs: Vec<WorkflowExecutionInfo> = judged.collect();
        judge_page(audit, &runs).await?;
        audit.tell(Pass::Workflows, done, total.max(done));
    }
    Ok(())
}

async fn judge_page(
    audit: &mut Audit<'_>,
    runs: &[WorkflowExecutionInfo],
) -> Result<(), AuditError> {
    let known = existing_rows(audit, runs.iter().filter_map(event).collect()).await?;
    let mut without: Vec<(String, Origin)> = runs
        .iter()
        .filter(|run| event(run).is_none_or(|event| !known.contains(&event)))
        .map(|run| (workflow(run), origin(run)))
        .collect();
    // Several runs are one workflow.
    without.sort();
    without.dedup_by(|one, other| one.0 == other.0);
    for id in unexplained(audit, without).await? {
        // Visibility lags behind a deletion too.
        if describe(&audit.sources.temporal, &id).await?.is_some() {
            let detail = "no outbox row has started this workflow";
            audit.report.violation(Kind::WorkflowUnexpected, id, detail);
        }
    }
    Ok(())
}

fn event(run: &WorkflowExecutionInfo) -> Option<Uuid> {
    let workflow = workflow(run);
    EventType::known().find_map(|known| known.event_of(&workflow)).map(EventId::uuid)
}

/// The user of a registration, or else when the run began: its row was created before,
/// and acknowledged after.
fn origin(run: &WorkflowExecutionInfo) -> Origin {
    let of_registration = run.r#type.as_ref().is_none_or(|kind| kind.name == WORKFLOW);
    if of_registration { Origin::User(user(run)) } else { Origin::At(started_at_ms(run)) }
}

/// The user the relay noted when it started the workflow; it never changes.
fn user(run: &WorkflowExecutionInfo) -> Option<Uuid> {
    let attributes = run.search_attributes.as_ref()?;
    let noted: String =
        serde_json::from_slice(&attributes.indexed_fields.get(ATTRIBUTE_USER)?.data).ok()?;
    noted.parse().ok()
}
