//! What Temporal answers: lists of workflows, one workflow, the retention.
//!
//! Lists come from visibility, which lags behind the truth; `describe` is the
//! truth. Search attributes are never asked for correctness.

use std::collections::HashMap;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use onboard_temporal::ExecutionStatus;
use temporalio_client::grpc::WorkflowService;
use temporalio_client::tonic::{Code, IntoRequest, Request, Response, Status};
use temporalio_client::{Client, NamespacedClient};
use temporalio_common::protos::temporal::api::common::v1::WorkflowExecution;
use temporalio_common::protos::temporal::api::enums::v1::WorkflowExecutionStatus;
use temporalio_common::protos::temporal::api::workflow::v1::WorkflowExecutionInfo;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    CountWorkflowExecutionsRequest, DescribeNamespaceRequest, DescribeWorkflowExecutionRequest,
    ListWorkflowExecutionsRequest,
};

use crate::audit::AuditError;

/// How long one call may take, its repeats included.
const CALL_DEADLINE: Duration = Duration::from_secs(30);
/// Ids in one query: 13 kB of text. The development server takes ten times
/// as many.
const IDS: usize = 250;
/// Queries at the same time.
const CONCURRENCY: usize = 4;
/// Workflows in one page of a list.
const PAGE: i32 = 1_000;

/// The states of these workflows as visibility lists them, by workflow id; of
/// several runs that of the latest.
pub(crate) async fn states(
    client: &Client,
    ids: &[String],
) -> Result<HashMap<String, ExecutionStatus>, AuditError> {
    let lists: Vec<Vec<WorkflowExecutionInfo>> = futures::stream::iter(ids.chunks(IDS))
        .map(|ids| all(client, ids_query(ids)))
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    let mut runs: Vec<WorkflowExecutionInfo> = lists.into_iter().flatten().collect();
    runs.sort_by_key(started_at_ms);
    Ok(runs.into_iter().map(|run| (workflow(&run), state(run.status()))).collect())
}

fn ids_query(ids: &[String]) -> String {
    // UUIDs under a constant prefix: nothing to escape.
    let quoted: Vec<String> = ids.iter().map(|id| format!("'{id}'")).collect();
    format!("WorkflowId IN ({})", quoted.join(","))
}

async fn all(client: &Client, query: String) -> Result<Vec<WorkflowExecutionInfo>, AuditError> {
    let mut list = List::of(client, query);
    let mut found = Vec::new();
    while let Some(page) = list.next().await? {
        found.extend(page);
    }
    Ok(found)
}

/// How a workflow stands in truth; `None` when there is none. Of several runs
/// the latest counts.
pub(crate) async fn describe(
    client: &Client,
    id: &str,
) -> Result<Option<ExecutionStatus>, AuditError> {
    const WHAT: &str = "describe a workflow";
    let request = DescribeWorkflowExecutionRequest {
        namespace: client.namespace(),
        execution: Some(WorkflowExecution { workflow_id: id.to_owned(), run_id: String::new() }),
    };
    let mut client = client.clone();
    let answer = called(request, async |request| {
        WorkflowService::describe_workflow_execution(&mut client, request).await
    });
    match answer.await {
        Ok(found) => Ok(found.workflow_execution_info.map(|run| state(run.status()))),
        Err(Failed::Refused(status)) if is_unknown(&status) => Ok(None),
        Err(failed) => Err(failed.to(WHAT)),
    }
}

/// A missing namespace is `NotFound` as well.
fn is_unknown(status: &Status) -> bool {
    status.code() == Code::NotFound && !status.message().starts_with("Namespace")
}

/// How long the namespace keeps closed workflows.
pub(crate) async fn retention_ms(client: &Client) -> Result<i64, AuditError> {
    let request = DescribeNamespaceRequest { namespace: client.namespace(), ..Default::default() };
    let mut client = client.clone();
    let answer = called(request, async |request| {
        WorkflowService::describe_namespace(&mut client, request).await
    });
    let described = answer.await.map_err(|failed| failed.to("describe the namespace"))?;
    let kept = described.config.and_then(|config| config.workflow_execution_retention_ttl);
    Ok(kept.map_or(i64::MAX, |kept| kept.seconds.saturating_mul(1_000)))
}

/// About how many workflows fit.
pub(crate) async fn count(client: &Client, query: &str) -> Result<u64, AuditError> {
    let request =
        CountWorkflowExecutionsRequest { namespace: client.namespace(), query: query.to_owned() };
    let mut client = client.clone();
    let answer = called(request, async |request| {
        WorkflowService::count_workflow_executions(&mut client, request).await
    });
    let counted = answer.await.map_err(|failed| failed.to("count the workflows"))?;
    Ok(u64::try_from(counted.count).unwrap_or_default())
}

/// A list that is being read.
pub(crate) struct List {
    client: Client,
    query: String,
    token: Vec<u8>,
    ended: bool,
}

impl List {
    pub(crate) fn of(client: &Client, query: String) -> Self {
        Self { client: client.clone(), query, token: Vec::new(), ended: false }
    }

    /// The next page, until there is none.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<WorkflowExecutionInfo>>, AuditError> {
        if self.ended {
            return Ok(None);
        }
        let request = ListWorkflowExecutionsRequest {
            namespace: self.client.namespace(),
            page_size: PAGE,
            next_page_token: std::mem::take(&mut self.token),
            query: self.query.clone(),
        };
        let client = &mut self.client;
        let answer = called(request, async |request| {
            WorkflowService::list_workflow_executions(client, request).await
        });
        let page = answer.await.map_err(|failed| failed.to("list the workflows"))?;
        self.ended = page.next_page_token.is_empty();
        self.token = page.next_page_token;
        Ok(Some(page.executions))
    }
}

pub(crate) fn workflow(run: &WorkflowExecutionInfo) -> String {
    run.execution.as_ref().map(|run| run.workflow_id.clone()).unwrap_or_default()
}

pub(crate) fn started_at_ms(run: &WorkflowExecutionInfo) -> Option<i64> {
    run.start_time.as_ref().map(|at| at.seconds * 1_000 + i64::from(at.nanos) / 1_000_000)
}

/// What is not known to have ended is taken for running.
fn state(status: WorkflowExecutionStatus) -> ExecutionStatus {
    match status {
        WorkflowExecutionStatus::Completed => ExecutionStatus::Completed,
        WorkflowExecutionStatus::Failed => ExecutionStatus::Failed,
        WorkflowExecutionStatus::Canceled => ExecutionStatus::Cancelled,
        WorkflowExecutionStatus::Terminated => ExecutionStatus::Terminated,
        WorkflowExecutionStatus::TimedOut => ExecutionStatus::TimedOut,
        WorkflowExecutionStatus::Unspecified
        | WorkflowExecutionStatus::Running
        | WorkflowExecutionStatus::ContinuedAsNew
        | WorkflowExecutionStatus::Paused => ExecutionStatus::Running,
    }
}

enum Failed {
    TimedOut,
    Refused(Status),
}

impl Failed {
    fn to(self, what: &'static str) -> AuditError {
        match self {
            Self::TimedOut => AuditError::TimedOut { server: "Temporal", what },
            Self::Refused(status) => AuditError::Temporal { what, source: Box::new(status) },
        }
    }
}

/// A call under its deadline; the client repeats what may pass.
async fn called<Q, A>(
    request: Q,
    call: impl AsyncFnOnce(Request<Q>) -> Result<Response<A>, Status>,
) -> Result<A, Failed> {
    match tokio::time::timeout(CALL_DEADLINE, call(request.into_request())).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(Failed::Refused(status)),
        Err(_) => Err(Failed::TimedOut),
    }
}
