//! What a test asks Temporal.

use futures::StreamExt;
use onboard_contract::EventId;
use serde_json::Value;
use temporalio_client::{
    Client, UntypedQuery, UntypedSignal, UntypedWorkflow, UntypedWorkflowHandle,
    WorkflowCountOptions, WorkflowDescribeOptions, WorkflowExecutionInfo, WorkflowExecutionStatus,
    WorkflowFetchHistoryOptions, WorkflowQueryOptions, WorkflowSignalOptions,
};
use temporalio_common::data_converters::{PayloadConverter, RawValue};
use temporalio_common::protos::temporal::api::failure::v1::failure::FailureInfo;
use temporalio_common::protos::temporal::api::history::v1::HistoryEvent;
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;

use super::{App, eventually};

/// An activity that is being tried.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) activity: String,
    pub(crate) attempt: i32,
    /// Type and message of the last failure.
    pub(crate) last_failure: String,
}

impl App {
    pub(crate) async fn temporal(&self) -> Client {
        self.clients.temporal(&self.places).await
    }

    async fn handle(&self, event: EventId) -> UntypedWorkflowHandle<Client> {
        let id = format!("registration-{event}");
        self.temporal().await.get_workflow_handle::<UntypedWorkflow>(id)
    }

    /// The status of a registration's workflow; `None` when there is none.
    pub(crate) async fn workflow(&self, event: EventId) -> Option<WorkflowExecutionStatus> {
        let found = self.handle(event).await.describe(WorkflowDescribeOptions::default()).await;
        found.ok().map(|description| description.status())
    }

    /// The activity the workflow waits in.
    pub(crate) async fn pending_activity(&self, event: EventId) -> Option<Pending> {
        let handle = self.handle(event).await;
        let description = handle.describe(WorkflowDescribeOptions::default()).await.ok()?;
        let activity = description.raw().pending_activities.first()?.clone();
        let failure = activity.last_failure.unwrap_or_default();
        Some(Pending {
            activity: activity.activity_type.map(|of| of.name).unwrap_or_default(),
            attempt: activity.attempt,
            last_failure: format!("{:?} {}", failure.failure_info, failure.message),
        })
    }

    /// The answer of the `progress` query.
    pub(crate) async fn progress(&self, event: EventId) -> Value {
        self.query(event, "progress").await
    }

    /// The answer of a query, as soon as the run is started and its worker answers.
    async fn query(&self, event: EventId, name: &'static str) -> Value {
        let handle = self.handle(event).await;
        let answer = eventually(&format!("the run answers {name:?}"), async || {
            let (query, nothing) = (UntypedQuery::new(name), RawValue::new(Vec::new()));
            handle.query(query, nothing, WorkflowQueryOptions::default()).await
        })
        .await;
        serde_json::from_slice(&answer.payloads[0].data).unwrap()
    }

    /// Sends a signal whose payload no handler expects.
    pub(crate) async fn signal(&self, event: EventId, name: &str) {
        self.signal_often(event, name, 1).await;
    }

    /// Sends it many times.
    pub(crate) async fn signal_often(&self, event: EventId, name: &str, times: usize) {
        let handle = self.handle(event).await;
        futures::stream::iter(0..times)
            .for_each_concurrent(16, async |_| {
                let odd = RawValue::from_value(&vec![1, 2, 3], &PayloadConverter::serde_json());
                let signal = UntypedSignal::new(name);
                let options = WorkflowSignalOptions::builder().build();
                handle.signal(signal, odd, options).await.unwrap();
            })
            .await;
    }

    /// Sends a signal with this input, whether or not there is a run to take it.
    pub(crate) async fn try_signal(&self, event: EventId, name: &str, input: &Value) {
        let input = RawValue::from_value(input, &PayloadConverter::serde_json());
        let options = WorkflowSignalOptions::builder().build();
        self.handle(event).await.signal(UntypedSignal::new(name), input, options).await.ok();
    }

    /// Sends it with this payload.
    pub(crate) async fn signal_with(&self, event: EventId, name: &str, payload: &Value) {
        let payload = RawValue::from_value(payload, &PayloadConverter::serde_json());
        let options = WorkflowSignalOptions::builder().build();
        self.handle(event).await.signal(UntypedSignal::new(name), payload, options).await.unwrap();
    }

    /// The same as it is stored.
    pub(crate) async fn history_bytes(&self, event: EventId) -> Vec<u8> {
        let events = self.history(event).await;
        events.iter().flat_map(prost::Message::encode_to_vec).collect()
    }

    /// The history of a registration.
    pub(crate) async fn history(&self, event: EventId) -> Vec<HistoryEvent> {
        let history =
            self.handle(event).await.fetch_history(WorkflowFetchHistoryOptions::default());
        history.into_events().await.unwrap()
    }

    /// The history of a run as it is recorded for replay; `None`: of the last run.
    pub(crate) async fn history_json(&self, event: EventId, run: Option<&str>) -> Vec<u8> {
        let info = WorkflowExecutionInfo::builder()
            .namespace("default")
            .workflow_id(format!("registration-{event}"))
            .maybe_run_id(run)
            .build();
        let handle = info.bind_untyped(self.temporal().await);
        let history = handle.fetch_history(WorkflowFetchHistoryOptions::default());
        history.to_json().await.unwrap()
    }

    /// The id of a registration's last run.
    pub(crate) async fn run_id(&self, event: EventId) -> String {
        let handle = self.handle(event).await;
        handle.describe(WorkflowDescribeOptions::default()).await.unwrap().run_id().to_owned()
    }

    /// What the web UI shows under Current Details.
    pub(crate) async fn current_details(&self, event: EventId) -> String {
        let metadata = self.query(event, "__temporal_workflow_metadata").await;
        metadata["currentDetails"].as_str().unwrap_or_default().to_owned()
    }

    /// The builds whose workers took decisions for a registration, in order.
    pub(crate) async fn builds(&self, event: EventId) -> Vec<String> {
        let history = self.history(event).await;
        let decided = history.into_iter().filter_map(|event| match event.attributes? {
            Attributes::WorkflowTaskCompletedEventAttributes(done) => Some(done),
            _ => None,
        });
        let mut builds: Vec<String> = decided
            .map(|done| done.deployment_version.map_or_else(String::new, |v| v.build_id))
            .collect();
        builds.dedup();
        builds
    }

    /// The type of the failure a workflow ended with.
    pub(crate) async fn failure_type(&self, event: EventId) -> String {
        let events = self.history(event).await;
        let Some(Attributes::WorkflowExecutionFailedEventAttributes(failed)) =
            events.last().and_then(|event| event.attributes.clone())
        else {
            panic!("the last event is no failure")
        };
        match failed.failure.unwrap().failure_info {
            Some(FailureInfo::ApplicationFailureInfo(info)) => info.r#type,
            other => panic!("{other:?}"),
        }
    }

    /// Workflows on the application's task queue, of any status.
    pub(crate) async fn all_workflows(&self) -> usize {
        self.count("").await
    }

    /// Workflows on the application's task queue that still run.
    pub(crate) async fn open_workflows(&self) -> usize {
        self.workflows_where("ExecutionStatus = 'Running'").await
    }

    /// Workflows on the application's task queue that fit the condition.
    pub(crate) async fn workflows_where(&self, condition: &str) -> usize {
        self.count(&format!("AND {condition}")).await
    }

    /// Waits until the list of workflows shows the registration's in this stage.
    pub(crate) async fn is_shown_in(&self, event: EventId, stage: &str) {
        let shown =
            format!("WorkflowId = 'registration-{event}' AND RegistrationStage = '{stage}'");
        eventually(&format!("{event} is shown in {stage}"), async || {
            match self.workflows_where(&shown).await {
                1 => Ok(()),
                shown => Err(shown),
            }
        })
        .await;
    }

    async fn count(&self, filter: &str) -> usize {
        let query = format!("TaskQueue = 'registration-{}' {filter}", self.id);
        let client = self.temporal().await;
        client.count_workflows(query, WorkflowCountOptions::default()).await.unwrap().count()
    }
}
