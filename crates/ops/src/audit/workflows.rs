//! Every workflow has its outbox row, and none stands on the task queue that no build
//! knows or that no worker can go on with.

use onboard_contract::EventId;
use onboard_events::registration::{ATTRIBUTE_USER, WORKFLOW};
use onboard_temporal::query::{of_events, open_of_unknown_type, open_with_failing_task};
use onboard_temporal::{ExecutionStatus, command};
use temporalio_client::tonic::{Code, Status};
use temporalio_common::protos::temporal::api::workflow::v1::WorkflowExecutionInfo;
use uuid::Uuid;

use crate::audit::inbox::{Origin, existing_rows, unexplained};
use crate::audit::passes::Audit;
use crate::audit::progress::Pass;
use crate::audit::visibility::{List, count, describe, started_at_ms, workflow};
use crate::audit::{AuditError, Kind};

/// Judges all workflows of the task queue.
pub(crate) async fn judge(audit: &mut Audit<'_>) -> Result<(), AuditError> {
    judge_those_of_events(audit).await?;
    let unknown = open_of_unknown_type(&audit.sources.task_queue);
    judge_open(audit, unknown, Kind::WorkflowUnexpected).await?;
    let failing = open_with_failing_task(&audit.sources.task_queue);
    match judge_open(audit, failing, Kind::WorkflowTaskFails).await {
        // A server before 1.30, which does not say whose task fails.
        Err(AuditError::Temporal { source, .. }) if is_unknown_attribute(&*source) => Ok(()),
        judged => judged,
    }
}

async fn judge_those_of_events(audit: &mut Audit<'_>) -> Result<(), AuditError> {
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
            let end = command::terminate(&id);
            let detail = format!("no outbox row has started this workflow; where it runs: {end}");
            audit.report.violation(Kind::WorkflowUnexpected, id, detail);
        }
    }
    Ok(())
}

/// Names the workflows of a list that stand there until somebody ends them.
async fn judge_open(audit: &mut Audit<'_>, query: String, kind: Kind) -> Result<(), AuditError> {
    let mut list = List::of(&audit.sources.temporal, query);
    while let Some(page) = list.next().await? {
        for run in page.iter().filter(|run| audit.scope.judges(started_at_ms(run))) {
            let id = workflow(run);
            // Visibility lags: it may have ended.
            let status = describe(&audit.sources.temporal, &id).await?;
            if status == Some(ExecutionStatus::Running) {
                let detail = standing(run, kind, &id);
                audit.report.violation(kind, id, detail);
            }
        }
    }
    Ok(())
}

fn standing(run: &WorkflowExecutionInfo, kind: Kind, id: &str) -> String {
    let end = command::terminate(id);
    if kind == Kind::WorkflowTaskFails {
        return format!(
            "its workflow task fails again and again; where a row owns it, the relay starts it \
             again when it has ended: {end}"
        );
    }
    let name = run.r#type.as_ref().map_or("", |kind| kind.name.as_str());
    format!("it stands on the task queue, and no event has workflows of the type {name}: {end}")
}

fn is_unknown_attribute(source: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    source.downcast_ref::<Status>().is_some_and(|status| status.code() == Code::InvalidArgument)
}

fn event(run: &WorkflowExecutionInfo) -> Option<Uuid> {
    let workflow = workflow(run);
    onboard_events::known().find_map(|known| known.event_of(&workflow)).map(EventId::uuid)
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
