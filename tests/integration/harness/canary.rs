//! What can be seen of a registration on the servers' own pages.

use onboard_contract::EventId;
use prost::Message as _;
use reqwest::Method;
use serde_json::{Value, json};
use temporalio_client::{UntypedWorkflow, WorkflowDescribeOptions};

use super::App;

impl App {
    /// The messages in the queue, left where they are.
    pub(crate) async fn waiting_messages(&self) -> Vec<Value> {
        let path = format!("queues/{}/user_registered_queue/get", self.names);
        let ask = json!({ "count": 10, "ackmode": "ack_requeue_true", "encoding": "auto" });
        self.management(Method::POST, &path, Some(ask)).await.json().await.unwrap()
    }

    /// The visibility record: search attributes, memo, pending activities.
    pub(crate) async fn described_bytes(&self, event: EventId) -> Vec<u8> {
        let client = self.temporal().await;
        let handle = client.get_workflow_handle::<UntypedWorkflow>(format!("registration-{event}"));
        let description = handle.describe(WorkflowDescribeOptions::default()).await.unwrap();
        description.raw().encode_to_vec()
    }
}
