//! What a workflow's history proves: how often the broker has confirmed, who
//! asked for more, and how it ended. Where a workflow was continued in
//! a new run, this is the history of the last run.

use futures::TryStreamExt;
use onboard_contract::Progress;
use onboard_contract::message::Workflow;
use onboard_contract::names::{ACTIVITY_PUBLISH_COPY, ACTIVITY_PUBLISH_EVENT, SIGNAL_REPUBLISH};
use onboard_contract::workflow::Published;
use temporalio_client::errors::WorkflowInteractionError;
use temporalio_client::{UntypedWorkflow, WorkflowFetchHistoryOptions};
use temporalio_common::protos::temporal::api::common::v1::Payloads;
use temporalio_common::protos::temporal::api::history::v1::HistoryEvent;
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;

use crate::connection::one_try;
use crate::execution::failure;
use crate::workflow::no_workflow;
use crate::{Temporal, TemporalError};

/// The longest a history may take to be read.
const READ_DEADLINE: std::time::Duration = std::time::Duration::from_secs(30);

/// What a history adds up to.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Publishes that the broker has confirmed.
    pub confirmed_publishes: u32,
    /// When the last confirm was reported, in ms.
    pub last_confirm_ms: Option<i64>,
    /// Requests of operators to publish again.
    pub republish_requests: u32,
    /// Type and message of the failure it ended with.
    pub failure: Option<(String, String)>,
    /// Why its workflow task failed, where no later one has succeeded.
    pub task_failure: Option<String>,
    /// What it returned.
    pub result: Option<Progress>,
    publishes: Vec<i64>,
}

impl Temporal {
    /// Reads the history of a workflow; `None` when Temporal knows none.
    ///
    /// # Errors
    /// See [`TemporalError`].
    pub async fn account(&self, workflow: String) -> Result<Option<Account>, TemporalError> {
        const WHAT: &str = "read the workflow's history";
        let handle = self.client()?.get_workflow_handle::<UntypedWorkflow>(workflow);
        let options = WorkflowFetchHistoryOptions::builder().rpc_options(one_try()).build();
        let reading = handle.fetch_history(options).try_fold(Account::default(), fold);
        match tokio::time::timeout(READ_DEADLINE, reading).await {
            Ok(Ok(account)) => Ok(Some(account)),
            Ok(Err(WorkflowInteractionError::NotFound(status))) if no_workflow(&status) => Ok(None),
            Ok(Err(error)) => Err(TemporalError::from_interaction(WHAT, error)),
            Err(_) => Err(TemporalError::away(WHAT)),
        }
    }
}

async fn fold(
    mut account: Account,
    event: HistoryEvent,
) -> Result<Account, WorkflowInteractionError> {
    account.note(event);
    Ok(account)
}

fn is_publish(activity: &str) -> bool {
    let own = |workflow| matches!(workflow, Workflow::Own(own) if own.publish == activity);
    [ACTIVITY_PUBLISH_EVENT, ACTIVITY_PUBLISH_COPY].contains(&activity)
        || onboard_events::known().any(|known| own(known.workflow))
}

/// A publish of the plan of released builds says nothing: it fails without a
/// confirm.
fn is_confirmed(result: Option<&Payloads>) -> bool {
    let published = result
        .and_then(|result| result.payloads.first())
        .and_then(|payload| serde_json::from_slice::<Published>(&payload.data).ok());
    published.is_none_or(|published| published == Published::Confirmed)
}

impl Account {
    fn note(&mut self, event: HistoryEvent) {
        let (id, time) = (event.event_id, event.event_time);
        match event.attributes {
            Some(Attributes::ActivityTaskScheduledEventAttributes(scheduled))
                if scheduled.activity_type.as_ref().is_some_and(|t| is_publish(&t.name)) =>
            {
                self.publishes.push(id);
            }
            Some(Attributes::ActivityTaskCompletedEventAttributes(completed))
                if self.publishes.contains(&completed.scheduled_event_id)
                    && is_confirmed(completed.result.as_ref()) =>
            {
                self.confirmed_publishes += 1;
                self.last_confirm_ms =
                    time.map(|t| t.seconds * 1_000 + i64::from(t.nanos) / 1_000_000);
            }
            Some(Attributes::WorkflowExecutionSignaledEventAttributes(signal))
                if signal.signal_name == SIGNAL_REPUBLISH =>
            {
                self.republish_requests += 1;
            }
            Some(Attributes::WorkflowTaskFailedEventAttributes(failed)) => {
                self.task_failure = failed.failure.map(|failure| failure.message);
            }
            Some(Attributes::WorkflowTaskCompletedEventAttributes(_)) => self.task_failure = None,
            Some(Attributes::WorkflowExecutionFailedEventAttributes(failed)) => {
                self.failure = failed.failure.as_ref().map(failure);
            }
            Some(Attributes::WorkflowExecutionCompletedEventAttributes(completed)) => {
                self.result = completed
                    .result
                    .as_ref()
                    .and_then(|result| result.payloads.first())
                    .and_then(|payload| serde_json::from_slice(&payload.data).ok());
            }
            _ => (),
        }
    }
}
