//! Workers: none, too late, or of a build that cannot replay a history.

use temporalio_client::grpc::WorkflowService;
use temporalio_client::tonic::IntoRequest;
use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions};
use temporalio_common::protos::temporal::api::command::v1::command::Attributes;
use temporalio_common::protos::temporal::api::command::v1::{Command, StartTimerCommandAttributes};
use temporalio_common::protos::temporal::api::enums::v1::CommandType;
use temporalio_common::protos::temporal::api::taskqueue::v1::TaskQueue;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    PollWorkflowTaskQueueRequest, RespondWorkflowTaskCompletedRequest,
};

use super::Watched;
use super::watched::REASON;
use crate::harness::Entry;

async fn client(watched: &Watched) -> Client {
    let address = watched.operated.variable("TEMPORAL_ADDRESS").await;
    let address = format!("http://{address}").parse::<temporalio_client::Url>().unwrap();
    let options = ConnectionOptions::new(address).build();
    let connection = Connection::connect(options).await.unwrap();
    Client::new(connection, ClientOptions::new("default").build()).unwrap()
}

/// Does the first workflow task as no build of ours would: a timer, at once.
async fn a_strange_worker_begins(watched: &Watched) {
    let mut client = client(watched).await;
    let poll = PollWorkflowTaskQueueRequest {
        namespace: "default".to_owned(),
        task_queue: Some(TaskQueue { name: "registration".to_owned(), ..Default::default() }),
        identity: "a strange build".to_owned(),
        ..Default::default()
    };
    let task = WorkflowService::poll_workflow_task_queue(&mut client, poll.into_request())
        .await
        .unwrap()
        .into_inner();
    let timer = StartTimerCommandAttributes {
        timer_id: "strange".to_owned(),
        start_to_fire_timeout: Some(std::time::Duration::from_secs(1).try_into().unwrap()),
    };
    let command = Command {
        command_type: CommandType::StartTimer.into(),
        attributes: Some(Attributes::StartTimerCommandAttributes(timer)),
        ..Default::default()
    };
    let done = RespondWorkflowTaskCompletedRequest {
        task_token: task.task_token,
        commands: vec![command],
        identity: "a strange build".to_owned(),
        namespace: "default".to_owned(),
        ..Default::default()
    };
    let done = WorkflowService::respond_workflow_task_completed(&mut client, done.into_request());
    done.await.unwrap();
}

async fn a_history_does_not_fit_the_build(watched: &Watched) {
    let entry = Entry::named("A workflow cannot be replayed");
    watched.breaks("onboard stop worker").await;
    let id = watched.register().await;
    watched.reaches(&id, "STARTED").await;
    a_strange_worker_begins(watched).await;
    watched.breaks("onboard start worker").await;
    watched.alarmed(&entry, "WorkflowNonDeterminism").await;
    watched.follow(&entry, &[("ID", &id), REASON]).await;
    watched.prometheus.ends("WorkflowNonDeterminism").await;
}

async fn there_is_no_worker(watched: &Watched) {
    let entry = Entry::named("Workflow tasks wait");
    watched.breaks("onboard stop worker").await;
    let id = watched.register().await;
    watched.alarmed(&entry, "NoPollers").await;
    watched.follow(&entry, &[("ID", &id)]).await;
    watched.prometheus.ends("NoPollers").await;
}

#[tokio::test]
async fn a_worker_that_is_missing_or_does_not_fit_is_named_and_mended() {
    let watched = Watched::up(&[]).await;
    a_history_does_not_fit_the_build(&watched).await;
    there_is_no_worker(&watched).await;
    watched.down().await;
}
