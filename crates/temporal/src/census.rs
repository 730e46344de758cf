//! Who works on the task queue, and how many workflows failed: what Temporal knows and
//! no other process can say.

use std::collections::BTreeSet;
use std::time::Duration;

use onboard_contract::ConsumerName;
use onboard_runtime::clock;
use temporalio_client::grpc::WorkflowService;
use temporalio_client::tonic::{IntoRequest, Response, Status};
use temporalio_common::protos::temporal::api::enums::v1::TaskQueueType;
use temporalio_common::protos::temporal::api::taskqueue::v1::{PollerInfo, TaskQueue};
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    CountWorkflowExecutionsRequest, DescribeTaskQueueRequest,
};

use crate::connection::CALL_DEADLINE;
use crate::plan::knows_every_plan;
use crate::{Temporal, TemporalError, query};

/// A poll waits at the server for up to a minute, and Temporal remembers who
/// polled for five. Who has not asked again after this is gone.
pub const POLLER_GONE_AFTER: Duration = Duration::from_secs(70);

/// Processes that ask for work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pollers {
    /// For workflow tasks.
    pub workflow: u32,
    /// For activity tasks.
    pub activity: u32,
    /// The identities of those that do not know the plan of several consumers, in
    /// order: workers of released builds.
    pub older: Vec<String>,
}

/// A consumer that workflows can ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answering {
    /// Its name.
    pub consumer: ConsumerName,
    /// The task queue of the questions to it.
    pub task_queue: String,
    /// How many processes ask for them.
    pub pollers: u32,
}

impl Temporal {
    /// Who has asked the task queue for work within [`POLLER_GONE_AFTER`].
    ///
    /// # Errors
    /// See [`TemporalError`].
    pub async fn pollers(&self) -> Result<Pollers, TemporalError> {
        let (workflow, activity) = tokio::try_join!(
            self.pollers_of(TaskQueueType::Workflow),
            self.pollers_of(TaskQueueType::Activity),
        )?;
        let older = workflow.union(&activity).filter(|identity| !knows_every_plan(identity));
        let older = older.cloned().collect();
        Ok(Pollers { workflow: count(&workflow), activity: count(&activity), older })
    }

    /// Who answers the questions of workflows: each consumer that can be asked, with the
    /// processes that have asked its task queue for work within [`POLLER_GONE_AFTER`].
    ///
    /// # Errors
    /// See [`TemporalError`].
    pub async fn answering(&self) -> Result<Vec<Answering>, TemporalError> {
        let consumers = onboard_events::known().flat_map(|known| known.consumers);
        let names: BTreeSet<_> =
            consumers.filter(|one| one.answers).map(|one| one.name.clone()).collect();
        let mut all = Vec::with_capacity(names.len());
        for consumer in names {
            let task_queue = self.task_queue_of(&consumer);
            let pollers = self.pollers_at(&task_queue, TaskQueueType::Activity).await?;
            all.push(Answering { consumer, task_queue, pollers: count(&pollers) });
        }
        Ok(all)
    }

    /// The identities of those that poll for one kind of task.
    async fn pollers_of(&self, kind: TaskQueueType) -> Result<BTreeSet<String>, TemporalError> {
        self.pollers_at(&self.task_queue, kind).await
    }

    async fn pollers_at(
        &self,
        task_queue: &str,
        kind: TaskQueueType,
    ) -> Result<BTreeSet<String>, TemporalError> {
        let mut client = self.client()?;
        let queue = TaskQueue { name: task_queue.to_owned(), ..Default::default() };
        let request = DescribeTaskQueueRequest {
            namespace: client.options().namespace.clone(),
            task_queue: Some(queue),
            task_queue_type: kind as i32,
            ..Default::default()
        };
        let asking = WorkflowService::describe_task_queue(&mut client, request.into_request());
        let answer = called("describe the task queue", asking).await?;
        let now_ms = clock::now_ms();
        let there = answer.pollers.into_iter().filter(|poller| is_there(poller, now_ms));
        Ok(there.map(|poller| poller.identity).collect())
    }

    /// How many workflows of the known event types are closed as failed on the task
    /// queue, of those that the namespace still keeps.
    ///
    /// # Errors
    /// See [`TemporalError`].
    pub async fn failed_workflows(&self) -> Result<u64, TemporalError> {
        self.count("count the failed workflows", query::failed(&self.task_queue)).await
    }

    /// How many workflows fit the query.
    pub(crate) async fn count(
        &self,
        what: &'static str,
        query: String,
    ) -> Result<u64, TemporalError> {
        let mut client = self.client()?;
        let namespace = client.options().namespace.clone();
        let request = CountWorkflowExecutionsRequest { namespace, query };
        let asking =
            WorkflowService::count_workflow_executions(&mut client, request.into_request());
        let answer = called(what, asking).await?;
        Ok(u64::try_from(answer.count).unwrap_or_default())
    }
}

fn count(identities: &BTreeSet<String>) -> u32 {
    u32::try_from(identities.len()).unwrap_or(u32::MAX)
}

/// Whether it has polled within [`POLLER_GONE_AFTER`].
pub(crate) fn is_there(poller: &PollerInfo, now_ms: i64) -> bool {
    let Some(at) = &poller.last_access_time else { return false };
    let at_ms = at.seconds.saturating_mul(1_000).saturating_add(i64::from(at.nanos) / 1_000_000);
    let silent_ms = u128::try_from(now_ms.saturating_sub(at_ms)).unwrap_or_default();
    silent_ms < POLLER_GONE_AFTER.as_millis()
}

pub(crate) async fn called<T>(
    what: &'static str,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, TemporalError> {
    match tokio::time::timeout(CALL_DEADLINE, call).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(TemporalError::from_status(what, status)),
        Err(_) => Err(TemporalError::away(what)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_not_polled_for_long_is_gone() {
        let poller = |seconds| {
            let mut at = PollerInfo::default().last_access_time.unwrap_or_default();
            at.seconds = seconds;
            PollerInfo { last_access_time: Some(at), ..Default::default() }
        };
        assert!(is_there(&poller(1_000), 1_000_000 + 69_999));
        assert!(is_there(&poller(1_000), 999_000), "a server whose clock is ahead");
        assert!(!is_there(&poller(1_000), 1_000_000 + 70_000));
        assert!(!is_there(&PollerInfo::default(), 0));
    }
}
