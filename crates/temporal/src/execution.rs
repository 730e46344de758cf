//! What Temporal says about an event's workflow right now.

use onboard_contract::Progress;
use onboard_contract::names::QUERY_PROGRESS;
use temporalio_client::errors::{WorkflowInteractionError, WorkflowQueryError};
use temporalio_client::{
    UntypedQuery, UntypedWorkflow, WorkflowDescribeOptions, WorkflowExecutionDescription,
    WorkflowExecutionStatus, WorkflowQueryOptions,
};
use temporalio_common::data_converters::RawValue;
use temporalio_common::protos::temporal::api::failure::v1::Failure;
use temporalio_common::protos::temporal::api::failure::v1::failure::FailureInfo;
use temporalio_common::protos::temporal::api::workflow::v1::PendingActivityInfo;

use crate::connection::{CALL_DEADLINE, one_try};
use crate::held::{self, Pause, PendingTask};
use crate::workflow::no_workflow;
use crate::{Temporal, TemporalError};

/// How a workflow's latest run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutionStatus {
    /// It runs.
    Running,
    /// It has completed: every expected consumer has done its part.
    Completed,
    /// It ended with a failure.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// Somebody terminated it.
    Terminated,
    /// It ran out of time.
    TimedOut,
}

/// A workflow's latest run.
#[derive(Debug, Clone)]
pub struct Execution {
    /// The workflow's id.
    pub workflow_id: String,
    /// The run's id.
    pub run_id: String,
    /// How it stands.
    pub status: ExecutionStatus,
    /// Events in its history.
    pub history_events: usize,
    /// Its type.
    pub workflow_type: String,
    /// The task queue that it runs on, where it is not the client's.
    pub other_task_queue: Option<String>,
    /// Who has paused it.
    pub paused: Option<Pause>,
    /// The version of the workers that somebody has pinned it to, `deployment:build`.
    pub pinned: Option<String>,
    /// The activity it waits in; of several one that is paused.
    pub pending: Option<PendingActivity>,
    /// The workflow task that waits or is worked on.
    pub task: Option<PendingTask>,
}

/// An activity that is being tried.
#[derive(Debug, Clone)]
pub struct PendingActivity {
    /// Its id within the workflow.
    pub activity_id: String,
    /// Its type.
    pub activity: String,
    /// The current try, from 1.
    pub attempt: u32,
    /// Type and message of the last failure.
    pub last_failure: Option<(String, String)>,
    /// Since when it waits or is worked on, in Unix ms.
    pub since_ms: Option<i64>,
    /// When the next try is due, in Unix ms; absent while one is under way.
    pub next_try_ms: Option<i64>,
    /// Who has paused it.
    pub paused: Option<Pause>,
}

impl ExecutionStatus {
    /// The word for people and for JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::Terminated => "TERMINATED",
            Self::TimedOut => "TIMED_OUT",
        }
    }

    /// Whether it has ended without success.
    #[must_use]
    pub const fn ended_without_success(self) -> bool {
        match self {
            Self::Running | Self::Completed => false,
            Self::Failed | Self::Cancelled | Self::Terminated | Self::TimedOut => true,
        }
    }
}

impl Temporal {
    /// Looks a workflow up; `None` when Temporal knows none.
    ///
    /// # Errors
    /// See [`TemporalError`].
    pub async fn find(&self, workflow: String) -> Result<Option<Execution>, TemporalError> {
        const WHAT: &str = "describe the workflow";
        let handle = self.client()?.get_workflow_handle::<UntypedWorkflow>(workflow);
        let options = WorkflowDescribeOptions::builder().rpc_options(one_try()).build();
        let answer = tokio::time::timeout(CALL_DEADLINE, handle.describe(options)).await;
        self.seen(match answer {
            Ok(Ok(description)) => Ok(Some(execution(&description, &self.task_queue))),
            Ok(Err(WorkflowInteractionError::NotFound(status))) if no_workflow(&status) => Ok(None),
            Ok(Err(error)) => Err(TemporalError::from_interaction(WHAT, error)),
            Err(_) => Err(TemporalError::away(WHAT)),
        })
    }

    /// Asks the workflow itself how far it is; a worker must run to answer.
    ///
    /// # Errors
    /// No worker answers, Temporal is away, or there is no such workflow.
    pub async fn progress(&self, workflow: String) -> Result<Progress, TemporalError> {
        const WHAT: &str = "ask the workflow for its progress";
        let handle = self.client()?.get_workflow_handle::<UntypedWorkflow>(workflow);
        let query = UntypedQuery::new(QUERY_PROGRESS);
        let options = WorkflowQueryOptions::builder().rpc_options(one_try()).build();
        let asking = handle.query(query, RawValue::new(Vec::new()), options);
        let answer = match tokio::time::timeout(CALL_DEADLINE, asking).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(WorkflowQueryError::Rpc(status))) => {
                return Err(TemporalError::from_status(WHAT, status));
            }
            Ok(Err(error)) => {
                return Err(TemporalError::Refused { what: WHAT, source: Box::new(error) });
            }
            Err(_) => return Err(TemporalError::away(WHAT)),
        };
        let data = answer.payloads.first().map_or(&[][..], |payload| payload.data.as_slice());
        serde_json::from_slice(data)
            .map_err(|error| TemporalError::Refused { what: WHAT, source: Box::new(error) })
    }
}

fn execution(description: &WorkflowExecutionDescription, task_queue: &str) -> Execution {
    let raw = description.raw();
    let info = raw.workflow_execution_info.as_ref();
    let pause = raw.workflow_extended_info.as_ref().and_then(|more| more.pause_info.as_ref());
    let activities = &raw.pending_activities;
    let activity = activities.iter().find(|activity| activity.paused).or(activities.first());
    Execution {
        workflow_id: description.id().to_owned(),
        run_id: description.run_id().to_owned(),
        status: status(description.status()),
        history_events: description.history_length(),
        workflow_type: description.workflow_type().to_owned(),
        other_task_queue: info.map(|info| info.task_queue.clone()).filter(|of| of != task_queue),
        paused: pause.map(held::workflow_pause),
        pinned: info.and_then(held::pinned_to),
        pending: activity.map(pending),
        task: raw.pending_workflow_task.as_ref().map(held::pending_task),
    }
}

/// In Unix ms.
pub(crate) fn ms(seconds: i64, nanos: i32) -> i64 {
    seconds.saturating_mul(1_000).saturating_add(i64::from(nanos) / 1_000_000)
}

/// What is not known to have ended is taken for running: a signal to it does
/// no harm, a second run might.
fn status(status: WorkflowExecutionStatus) -> ExecutionStatus {
    match status {
        WorkflowExecutionStatus::Completed => ExecutionStatus::Completed,
        WorkflowExecutionStatus::Failed => ExecutionStatus::Failed,
        WorkflowExecutionStatus::Canceled => ExecutionStatus::Cancelled,
        WorkflowExecutionStatus::Terminated => ExecutionStatus::Terminated,
        WorkflowExecutionStatus::TimedOut => ExecutionStatus::TimedOut,
        _ => ExecutionStatus::Running,
    }
}

fn pending(activity: &PendingActivityInfo) -> PendingActivity {
    PendingActivity {
        activity_id: activity.activity_id.clone(),
        activity: activity.activity_type.as_ref().map_or_else(String::new, |t| t.name.clone()),
        attempt: u32::try_from(activity.attempt).unwrap_or_default(),
        last_failure: activity.last_failure.as_ref().map(failure),
        since_ms: activity.scheduled_time.as_ref().map(|at| ms(at.seconds, at.nanos)),
        next_try_ms: activity
            .next_attempt_schedule_time
            .as_ref()
            .map(|at| ms(at.seconds, at.nanos)),
        paused: activity.paused.then(|| held::activity_pause(activity.pause_info.as_ref())),
    }
}

/// Type and message. An activity's failure is inside the one of the workflow.
pub(crate) fn failure(failure: &Failure) -> (String, String) {
    let word = match &failure.failure_info {
        Some(FailureInfo::ApplicationFailureInfo(info)) => info.r#type.clone(),
        Some(FailureInfo::TimeoutFailureInfo(_)) => "TimedOut".to_owned(),
        Some(FailureInfo::CanceledFailureInfo(_)) => "Cancelled".to_owned(),
        Some(FailureInfo::TerminatedFailureInfo(_)) => "Terminated".to_owned(),
        _ => "Failure".to_owned(),
    };
    (word, failure.message.clone())
}
