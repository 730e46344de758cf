//! What can hold a workflow back that no repeat ends, as Temporal tells it: a pause, a
//! version that somebody has pinned it to, a workflow task that fails, a limit of the task
//! queue. Nothing is written here.

use temporalio_client::grpc::WorkflowService;
use temporalio_client::tonic::IntoRequest;
use temporalio_common::protos::temporal::api::enums::v1::{
    PendingWorkflowTaskState, TaskQueueType,
};
use temporalio_common::protos::temporal::api::taskqueue::v1::TaskQueue;
use temporalio_common::protos::temporal::api::workflow::v1::pending_activity_info::PauseInfo;
use temporalio_common::protos::temporal::api::workflow::v1::pending_activity_info::pause_info::PausedBy;
use temporalio_common::protos::temporal::api::workflow::v1::versioning_override::Override;
use temporalio_common::protos::temporal::api::workflow::v1::{
    PendingWorkflowTaskInfo, WorkflowExecutionInfo, WorkflowExecutionPauseInfo,
};
use temporalio_common::protos::temporal::api::workflowservice::v1::DescribeTaskQueueRequest;

use crate::census::called;
use crate::execution::ms;
use crate::{Temporal, TemporalError};

/// Somebody has paused a workflow or an activity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pause {
    /// Who, as their client names itself; empty where Temporal does not say.
    pub by: String,
    /// Since when, in Unix ms.
    pub since_ms: Option<i64>,
    /// Why, in their words; may be empty.
    pub reason: String,
    /// The workflow rule of the namespace that did it.
    pub rule: Option<String>,
}

/// The workflow task that waits or is worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingTask {
    /// The current try, from 1.
    pub attempt: u32,
    /// Whether a worker has taken it.
    pub taken: bool,
}

impl PendingTask {
    /// A worker that dies takes one try along; more tries have failed.
    const FAILS_FROM: u32 = 3;

    /// Whether it fails again and again.
    #[must_use]
    pub const fn fails(self) -> bool {
        self.attempt >= Self::FAILS_FROM
    }
}

/// Somebody has limited how many activities a second the task queue hands out.
#[derive(Debug, Clone, PartialEq)]
pub struct RateLimit {
    /// The task queue.
    pub task_queue: String,
    /// Activities a second; 0 stops all.
    pub per_second: f32,
    /// Who, when and why.
    pub set: Pause,
}

impl Temporal {
    /// The limit that somebody has set for the activities of the task queue.
    ///
    /// # Errors
    /// See [`TemporalError`].
    pub async fn rate_limit(&self) -> Result<Option<RateLimit>, TemporalError> {
        let mut client = self.client()?;
        let queue = TaskQueue { name: self.task_queue.to_string(), ..Default::default() };
        let request = DescribeTaskQueueRequest {
            namespace: client.options().namespace.clone(),
            task_queue: Some(queue),
            task_queue_type: TaskQueueType::Activity as i32,
            report_config: true,
            ..Default::default()
        };
        let asking = WorkflowService::describe_task_queue(&mut client, request.into_request());
        let answer = called("describe the task queue", asking).await?;
        let limit = answer.config.and_then(|config| config.queue_rate_limit);
        Ok(limit.and_then(|limit| {
            let set = limit.metadata.unwrap_or_default();
            Some(RateLimit {
                task_queue: self.task_queue.to_string(),
                per_second: limit.rate_limit?.requests_per_second,
                set: Pause {
                    by: set.update_identity,
                    since_ms: set.update_time.as_ref().map(|at| ms(at.seconds, at.nanos)),
                    reason: set.reason,
                    rule: None,
                },
            })
        }))
    }
}

pub(crate) fn workflow_pause(info: &WorkflowExecutionPauseInfo) -> Pause {
    Pause {
        by: info.identity.clone(),
        since_ms: info.paused_time.as_ref().map(|at| ms(at.seconds, at.nanos)),
        reason: info.reason.clone(),
        rule: None,
    }
}

/// The pause of an activity; servers may tell nothing but that it is paused.
pub(crate) fn activity_pause(info: Option<&PauseInfo>) -> Pause {
    let Some(info) = info else { return Pause::default() };
    let since_ms = info.pause_time.as_ref().map(|at| ms(at.seconds, at.nanos));
    match &info.paused_by {
        Some(PausedBy::Manual(by)) => {
            Pause { by: by.identity.clone(), since_ms, reason: by.reason.clone(), rule: None }
        }
        Some(PausedBy::Rule(by)) => Pause {
            by: by.identity.clone(),
            since_ms,
            reason: by.reason.clone(),
            rule: Some(by.rule_id.clone()),
        },
        None => Pause { since_ms, ..Pause::default() },
    }
}

pub(crate) fn pending_task(info: &PendingWorkflowTaskInfo) -> PendingTask {
    PendingTask {
        attempt: u32::try_from(info.attempt).unwrap_or_default(),
        taken: info.state() == PendingWorkflowTaskState::Started,
    }
}

/// The version of the workers that somebody has pinned the run to.
pub(crate) fn pinned_to(run: &WorkflowExecutionInfo) -> Option<String> {
    let versioning = run.versioning_info.as_ref()?;
    match versioning.versioning_override.as_ref()?.r#override.as_ref()? {
        Override::Pinned(pinned) => {
            let version = pinned.version.as_ref()?;
            Some(format!("{}:{}", version.deployment_name, version.build_id))
        }
        _ => None,
    }
}
