//! `onboard audit` as a test runs it, and the hands that tamper.

use std::collections::BTreeSet;
use std::time::Duration;

use mongodb::Collection;
use mongodb::bson::{Document, doc};
use onboard_contract::{EventId, UserId};
use onboard_events::TodoId;
use serde_json::{Value, json};
use temporalio_client::grpc::WorkflowService;
use temporalio_client::tonic::IntoRequest;
use temporalio_client::{
    UntypedWorkflow, WorkflowCancelOptions, WorkflowDescribeOptions, WorkflowStartOptions,
    WorkflowTerminateOptions,
};
use temporalio_common::data_converters::{PayloadConverter, RawValue};
use temporalio_common::protos::temporal::api::common::v1::WorkflowExecution;
use temporalio_common::protos::temporal::api::workflowservice::v1::DeleteWorkflowExecutionRequest;
use uuid::Uuid;

use super::app::{App, text};
use super::eventually::eventually;
use super::store::binary;

/// A registration that has come to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finished {
    pub(crate) event: EventId,
    pub(crate) user: UserId,
    pub(crate) todo: TodoId,
}

impl App {
    /// Registers and waits until nothing is left to do.
    pub(crate) async fn finished(&self, count: usize) -> Vec<Finished> {
        let mut finished = Vec::with_capacity(count);
        for _ in 0..count {
            let event = self.register().await;
            let user = self.registered_user(event).await;
            finished.push(Finished { event, user, todo: TodoId::welcome(user) });
        }
        self.nothing_is_left().await;
        finished
    }

    /// Runs `onboard audit --json` with these arguments: exit code and report.
    pub(crate) async fn audit(&self, args: &[&str]) -> (i32, Value) {
        let output = self.onboard(&[&["audit", "--json"], args].concat()).await;
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
            panic!("no report: {}", text(&output));
        });
        (output.status.code().unwrap(), report)
    }

    /// The audit without a grace finds nothing.
    pub(crate) async fn is_clean(&self) {
        self.finds::<&str>(&[]).await;
    }

    /// The audit without a grace names exactly these, and says yes or no.
    pub(crate) async fn finds<I: ToString>(&self, expected: &[(&str, I)]) {
        let (code, report) = self.audit(&["--grace", "0s", "--histories", "all"]).await;
        let named = |one: &Value| {
            (one["kind"].as_str().unwrap().to_owned(), one["id"].as_str().unwrap().to_owned())
        };
        let found: BTreeSet<_> =
            report["violations"].as_array().unwrap().iter().map(named).collect();
        let expected: BTreeSet<_> =
            expected.iter().map(|(kind, id)| ((*kind).to_owned(), id.to_string())).collect();
        assert_eq!(found, expected, "{report:#}");
        assert_eq!(code, i32::from(!expected.is_empty()), "{report:#}");
        let sum: u64 = ["lost", "duplicated", "unexpected", "unfinished"]
            .iter()
            .map(|class| report[class].as_u64().unwrap())
            .sum();
        assert_eq!(sum, expected.len() as u64, "{report:#}");
    }

    /// Sets fields of one document, whatever its validator says; returns the
    /// document as it was.
    pub(crate) async fn set(
        &self,
        documents: &Collection<Document>,
        filter: Document,
        fields: Document,
    ) -> Document {
        let before = documents.find_one(filter.clone()).await.unwrap().unwrap();
        let set = documents.update_one(filter, doc! { "$set": fields });
        assert_eq!(set.bypass_document_validation(true).await.unwrap().modified_count, 1);
        before
    }

    /// Takes one document away and returns it.
    pub(crate) async fn take(
        &self,
        documents: &Collection<Document>,
        filter: Document,
    ) -> Document {
        documents.find_one_and_delete(filter).await.unwrap().unwrap()
    }

    /// Puts a document back as it was.
    pub(crate) async fn put_back(&self, documents: &Collection<Document>, document: &Document) {
        let filter = doc! { "_id": document.get("_id").unwrap() };
        documents
            .replace_one(filter, document)
            .upsert(true)
            .bypass_document_validation(true)
            .await
            .unwrap();
    }

    /// Inserts a document, whatever its validator says.
    pub(crate) async fn insert(&self, documents: &Collection<Document>, document: &Document) {
        documents.insert_one(document).bypass_document_validation(true).await.unwrap();
    }

    /// Removes a workflow from Temporal.
    pub(crate) async fn delete_workflow(&self, id: &str) {
        let mut client = self.temporal().await;
        let request = DeleteWorkflowExecutionRequest {
            namespace: "default".to_owned(),
            workflow_execution: Some(WorkflowExecution {
                workflow_id: id.to_owned(),
                run_id: String::new(),
            }),
        };
        let handle = client.get_workflow_handle::<UntypedWorkflow>(id.to_owned());
        let describe = async || handle.describe(WorkflowDescribeOptions::default()).await;
        let deleted = describe().await.unwrap().run_id().to_owned();
        client.delete_workflow_execution(request.into_request()).await.unwrap();
        eventually(&format!("{id} is gone"), async || match describe().await {
            // Another run may have begun since.
            Ok(found) if found.run_id() == deleted => Err(found.status()),
            Ok(_) | Err(_) => Ok(()),
        })
        .await;
    }

    /// Starts a workflow of the registrations' type by hand.
    pub(crate) async fn start_workflow(&self, id: &str, input: Value) {
        self.start_workflow_for(id, input, Duration::from_hours(1)).await;
    }

    /// The same; it times out after `limit`. A task that a worker took along when
    /// it stopped is given to the next one after 2 s.
    pub(crate) async fn start_workflow_for(&self, id: &str, input: Value, limit: Duration) {
        self.start_workflow_with(id, input, (limit, Duration::from_secs(2))).await;
    }

    /// The same, for a test that is the worker itself: it may hold a task for a
    /// minute.
    pub(crate) async fn start_held_workflow(&self, id: &str, input: Value) {
        let limits = (Duration::from_hours(1), Duration::from_mins(1));
        self.start_workflow_with(id, input, limits).await;
    }

    async fn start_workflow_with(&self, id: &str, input: Value, (run, task): (Duration, Duration)) {
        let queue = format!("registration-{}", self.id);
        let options = WorkflowStartOptions::new(queue, id.to_owned())
            .execution_timeout(run)
            .task_timeout(task)
            .build();
        let input = RawValue::from_value(&input, &PayloadConverter::serde_json());
        let workflow = UntypedWorkflow::new("UserRegistration");
        self.temporal().await.start_workflow(workflow, input, options).await.unwrap();
    }

    /// Terminates a workflow that runs.
    pub(crate) async fn terminate_workflow(&self, id: &str) {
        let client = self.temporal().await;
        let handle = client.get_workflow_handle::<UntypedWorkflow>(id.to_owned());
        handle.terminate(WorkflowTerminateOptions::builder().build()).await.unwrap();
    }

    /// Asks a workflow that runs to cancel itself.
    pub(crate) async fn cancel_workflow(&self, id: &str) {
        let client = self.temporal().await;
        let handle = client.get_workflow_handle::<UntypedWorkflow>(id.to_owned());
        handle.cancel(WorkflowCancelOptions::builder().build()).await.unwrap();
    }

    /// Starts a workflow of any type by hand, with a time for each of its tasks.
    pub(crate) async fn start_stranger(&self, kind: &'static str, id: &str, input: Value) {
        let queue = format!("registration-{}", self.id);
        let options = WorkflowStartOptions::new(queue, id.to_owned())
            .task_timeout(Duration::from_secs(1))
            .build();
        let input = RawValue::from_value(&input, &PayloadConverter::serde_json());
        self.temporal()
            .await
            .start_workflow(UntypedWorkflow::new(kind), input, options)
            .await
            .unwrap();
    }

    /// Puts a message into a queue of the application, by its exchange.
    pub(crate) async fn publish_to(&self, exchange: &str, message_id: &str, headers: Value) {
        let message = json!({
            "properties": { "message_id": message_id, "headers": headers, "delivery_mode": 2 },
            "routing_key": "user.registered",
            "payload": "{}",
            "payload_encoding": "string",
        });
        let url = format!(
            "{}/api/exchanges/{}/{exchange}/publish",
            self.places.management_url, self.names
        );
        let request = self.http.post(url).basic_auth("guest", Some("guest")).json(&message);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["routed"], true);
    }
}

impl Finished {
    pub(crate) fn workflow(&self) -> String {
        format!("registration-{}", self.event)
    }

    /// The filter for its user, its row and its todo.
    pub(crate) fn by_id(id: Uuid) -> Document {
        doc! { "_id": binary(id) }
    }
}
