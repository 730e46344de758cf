//! Starting and signalling the workflow of an event.

use onboard_contract::message::Workflow;
use onboard_contract::names::{ATTRIBUTE_STAGE, SIGNAL_CONSUMER_ACKNOWLEDGED, SIGNAL_WAIVED};
use onboard_contract::workflow::Waiver;
use onboard_contract::{Acknowledged, ConsumerName, EventId, EventType, Stage, Start};
use onboard_fault::{Step, step};
use serde::Serialize;
use temporalio_client::errors::{WorkflowInteractionError, WorkflowStartError};
use temporalio_client::tonic::Status;
use temporalio_client::{
    UntypedSignal, UntypedWorkflow, WorkflowIdConflictPolicy, WorkflowIdReusePolicy,
    WorkflowSignalOptions, WorkflowStartOptions,
};
use temporalio_common::data_converters::{PayloadConverter, RawValue};
use temporalio_common::protos::temporal::api::enums::v1::ResourceExhaustedCause;
use temporalio_common::protos::temporal::api::errordetails::v1::ResourceExhaustedFailure;
use temporalio_common::protos::utilities::decode_status_detail;
use temporalio_common::search_attributes::{SearchAttributeKey, SearchAttributes};

use crate::TemporalError;
use crate::connection::{CALL_DEADLINE, Temporal, one_try};

/// What starting a workflow found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// It is new.
    Now,
    /// It was started before, and runs or has ended.
    Already,
}

/// What signalling a workflow found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signalled {
    /// The workflow has the signal.
    Delivered,
    /// No such workflow runs: it has ended, or never was.
    NoWorkflow,
    /// The workflow is about to end, or is worked on, and takes no signal now.
    /// It alone: the server is well.
    Busy,
}

const STAGE: SearchAttributeKey<String> = SearchAttributeKey::keyword(ATTRIBUTE_STAGE);

impl Temporal {
    /// Starts the workflow of an event. Repeating it is harmless: the id is
    /// taken for as long as the namespace remembers it.
    ///
    /// # Errors
    /// See [`TemporalError`].
    pub async fn begin_workflow(&self, start: &Start) -> Result<Started, TemporalError> {
        self.start_run(start, WorkflowIdReusePolicy::RejectDuplicate).await
    }

    pub(crate) async fn start_run(
        &self,
        start: &Start,
        reuse: WorkflowIdReusePolicy,
    ) -> Result<Started, TemporalError> {
        const WHAT: &str = "start the workflow";
        let client = self.client()?;
        let input = payload(&start.input(&self.queue_prefix));
        let start = client.start_workflow(
            UntypedWorkflow::new(start.event_type.workflow_type()),
            input,
            start_options(&self.task_queue, start, reuse),
        );
        let answer = tokio::time::timeout(CALL_DEADLINE, step(Step("workflow.start"), start)).await;
        self.seen(match answer {
            Ok(Ok(_)) => Ok(Started::Now),
            Ok(Err(WorkflowStartError::AlreadyStarted { .. })) => Ok(Started::Already),
            Ok(Err(error)) => Err(TemporalError::from_start(WHAT, error)),
            Err(_) => Err(TemporalError::away(WHAT)),
        })
    }

    /// Tells the workflow of an event that a consumer has processed the event.
    /// Repeating it is harmless: the request id is the same, and the workflow takes the
    /// first.
    ///
    /// # Errors
    /// See [`TemporalError`].
    pub async fn acknowledge_for(
        &self,
        event_type: &EventType,
        acknowledged: &Acknowledged,
    ) -> Result<Signalled, TemporalError> {
        let workflow = event_type.workflow_id(acknowledged.event_id);
        let request_id = acknowledged.request_id();
        self.tell(workflow, SIGNAL_CONSUMER_ACKNOWLEDGED, acknowledged, request_id).await
    }

    /// Tells the workflow that a consumer is not awaited any more.
    ///
    /// # Errors
    /// See [`TemporalError`].
    pub async fn waive(
        &self,
        event_type: &EventType,
        event: EventId,
        consumer: &ConsumerName,
    ) -> Result<Signalled, TemporalError> {
        let request_id = format!("waive-{consumer}-{event}");
        let waiver = Waiver { consumer: consumer.clone() };
        self.tell(event_type.workflow_id(event), SIGNAL_WAIVED, &waiver, request_id).await
    }

    /// Signals a workflow once. Temporal rejects a signal to a workflow that is completing
    /// (`Busy`); the same request id makes a repeat harmless.
    ///
    /// # Errors
    /// See [`TemporalError`].
    pub async fn tell<T: Serialize + 'static>(
        &self,
        workflow: String,
        signal: &str,
        input: &T,
        request_id: String,
    ) -> Result<Signalled, TemporalError> {
        const WHAT: &str = "signal the workflow";
        let client = self.client()?;
        let handle = client.get_workflow_handle::<UntypedWorkflow>(workflow);
        let options =
            WorkflowSignalOptions::builder().request_id(request_id).rpc_options(one_try()).build();
        let sent = handle.signal(UntypedSignal::new(signal), payload(input), options);
        let sent = step(Step("acknowledge.signal"), sent);
        let answer = tokio::time::timeout(CALL_DEADLINE, sent).await;
        self.seen(match answer {
            Ok(Ok(())) => Ok(Signalled::Delivered),
            Ok(Err(WorkflowInteractionError::NotFound(status))) if no_workflow(&status) => {
                Ok(Signalled::NoWorkflow)
            }
            Ok(Err(WorkflowInteractionError::Rpc(status))) if is_busy(&status) => {
                Ok(Signalled::Busy)
            }
            Ok(Err(error)) => Err(TemporalError::from_interaction(WHAT, error)),
            Err(_) => Err(TemporalError::away(WHAT)),
        })
    }

    /// Says once when the server goes away or comes back.
    pub(crate) fn seen<T>(&self, answer: Result<T, TemporalError>) -> Result<T, TemporalError> {
        match &answer {
            Ok(_) => drop(self.availability.up()),
            Err(error @ TemporalError::Unavailable { .. }) => {
                self.availability.down(&onboard_runtime::availability::chain(error));
            }
            Err(TemporalError::Refused { .. }) => (),
        }
        answer
    }
}

/// Whether one workflow, and not the server, is what has no room for a call.
fn is_busy(status: &Status) -> bool {
    decode_status_detail::<ResourceExhaustedFailure>(status.details())
        .is_some_and(|failure| failure.cause() == ResourceExhaustedCause::BusyWorkflow)
}

fn start_options(
    task_queue: &str,
    start: &Start,
    reuse: WorkflowIdReusePolicy,
) -> WorkflowStartOptions {
    let stage = STAGE.value_set(Stage::Started.as_str().to_owned());
    let aggregate = start.aggregate_id.to_string();
    let (attributes, summary) = match start.event_type.workflow {
        Workflow::Own(own) => {
            let about = SearchAttributeKey::<String>::keyword(own.attribute);
            let summary = format!("{} {aggregate}", own.summary);
            (SearchAttributes::new([stage, about.value_set(aggregate)]), summary)
        }
        Workflow::Delivery => {
            (SearchAttributes::new([stage]), format!("{} of {aggregate}", start.event_type.name))
        }
    };
    let details = format!(
        "Publishes {}, marks the outbox row SENT, then waits until every expected consumer \
         acknowledges.",
        start.event_type.name
    );
    WorkflowStartOptions::new(task_queue, start.event_type.workflow_id(start.event_id))
        .id_reuse_policy(reuse)
        .id_conflict_policy(WorkflowIdConflictPolicy::Fail)
        .search_attributes(attributes)
        .static_summary(summary)
        .static_details(details)
        .rpc_options(one_try())
        .build()
}

/// A missing namespace is `NotFound` too, and says nothing about the workflow.
pub(crate) fn no_workflow(status: &Status) -> bool {
    !status.message().starts_with("Namespace")
}

pub(crate) fn payload<T: Serialize + 'static>(input: &T) -> RawValue {
    RawValue::from_value(input, &PayloadConverter::serde_json())
}
