//! The workflows on the task queue that have not ended, for who looks for those that
//! nobody owns, and for those that no worker can work on.
//!
//! Pages and counts come from visibility, which lags. Nothing is written here.

use temporalio_client::grpc::WorkflowService;
use temporalio_client::tonic::IntoRequest;
use temporalio_common::protos::temporal::api::workflow::v1::WorkflowExecutionInfo;
use temporalio_common::protos::temporal::api::workflowservice::v1::ListWorkflowExecutionsRequest;

use crate::census::called;
use crate::execution::ms;
use crate::{Temporal, TemporalError, query};

/// Which of the workflows that have not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// Each of them.
    All,
    /// Those whose type belongs to no event type that this build knows.
    UnknownType,
    /// Those whose workflow task has failed several times in a row.
    FailingTask,
}

/// A workflow that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenWorkflow {
    /// Its id.
    pub workflow_id: String,
    /// Its type.
    pub workflow_type: String,
    /// When it was started, in Unix ms.
    pub started_at_ms: Option<i64>,
}

/// Some of them.
#[derive(Debug, Clone, Default)]
pub struct OpenPage {
    /// The workflows.
    pub found: Vec<OpenWorkflow>,
    /// Where the next page begins; absent at the end.
    pub next: Option<Vec<u8>>,
}

impl Temporal {
    /// How many there are.
    ///
    /// # Errors
    /// See [`TemporalError`]. Servers before 1.30 refuse [`Open::FailingTask`].
    pub async fn count_open(&self, which: Open) -> Result<u64, TemporalError> {
        self.count("count the open workflows", self.query_of(which)).await
    }

    /// At most `most` of them, from the beginning or from where the last page ended.
    ///
    /// # Errors
    /// As above.
    pub async fn open_page(
        &self,
        which: Open,
        from: Option<Vec<u8>>,
        most: u16,
    ) -> Result<OpenPage, TemporalError> {
        let mut client = self.client()?;
        let request = ListWorkflowExecutionsRequest {
            namespace: client.options().namespace.clone(),
            page_size: most.into(),
            next_page_token: from.unwrap_or_default(),
            query: self.query_of(which),
        };
        let asking = WorkflowService::list_workflow_executions(&mut client, request.into_request());
        let page = called("list the open workflows", asking).await?;
        Ok(OpenPage {
            found: page.executions.into_iter().map(open).collect(),
            next: Some(page.next_page_token).filter(|token| !token.is_empty()),
        })
    }

    fn query_of(&self, which: Open) -> String {
        match which {
            Open::All => query::open(&self.task_queue),
            Open::UnknownType => query::open_of_unknown_type(&self.task_queue),
            Open::FailingTask => query::open_with_failing_task(&self.task_queue),
        }
    }
}

fn open(run: WorkflowExecutionInfo) -> OpenWorkflow {
    OpenWorkflow {
        workflow_id: run.execution.map(|run| run.workflow_id).unwrap_or_default(),
        workflow_type: run.r#type.map(|kind| kind.name).unwrap_or_default(),
        started_at_ms: run.start_time.as_ref().map(|at| ms(at.seconds, at.nanos)),
    }
}
