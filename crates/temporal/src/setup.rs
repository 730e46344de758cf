//! Prepares the namespace: retention and search attributes. Safe to repeat
//! and to run twice at once.

use std::time::Duration;

use onboard_contract::message::Workflow;
use onboard_contract::names::ATTRIBUTE_STAGE;
use temporalio_client::Client;
use temporalio_client::grpc::{OperatorService, WorkflowService};
use temporalio_client::tonic::{Code, IntoRequest, Status};
use temporalio_common::protos::temporal::api::enums::v1::IndexedValueType;
use temporalio_common::protos::temporal::api::namespace::v1::NamespaceConfig;
use temporalio_common::protos::temporal::api::operatorservice::v1::{
    AddSearchAttributesRequest, ListSearchAttributesRequest,
};
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeNamespaceRequest, RegisterNamespaceRequest, UpdateNamespaceRequest,
};

use crate::connection::{CALL_DEADLINE, connect};
use crate::{TemporalConfig, TemporalError};

/// How long a new namespace or attribute may take to be seen everywhere.
const VISIBLE_DEADLINE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(200);

/// Prepares everything.
///
/// # Errors
/// The server is away or refuses a step.
pub async fn prepare(config: &TemporalConfig) -> Result<(), TemporalError> {
    let mut client = connect(config).await?;
    let namespace = config.client.namespace.clone();
    let prepared = async {
        prepare_namespace(&mut client, &namespace, config.retention).await?;
        prepare_attributes(&mut client, &namespace).await
    };
    match tokio::time::timeout(VISIBLE_DEADLINE, prepared).await {
        Ok(done) => done,
        Err(_) => Err(TemporalError::away("prepare the namespace")),
    }
}

/// The id of the namespace, which another one of the same name does not have.
///
/// # Errors
/// The server is away, or there is no such namespace.
pub async fn namespace_id(config: &TemporalConfig) -> Result<String, TemporalError> {
    const WHAT: &str = "describe the namespace";
    let mut client = connect(config).await?;
    let request = DescribeNamespaceRequest {
        namespace: config.client.namespace.clone(),
        ..Default::default()
    };
    let answer = WorkflowService::describe_namespace(&mut client, request.into_request());
    match tokio::time::timeout(CALL_DEADLINE, answer).await {
        Ok(Ok(found)) => Ok(found.into_inner().namespace_info.unwrap_or_default().id),
        Ok(Err(status)) => Err(TemporalError::from_status(WHAT, status)),
        Err(_) => Err(TemporalError::away(WHAT)),
    }
}

async fn prepare_namespace(
    client: &mut Client,
    namespace: &str,
    retention: Duration,
) -> Result<(), TemporalError> {
    match kept(client, namespace).await {
        Ok(kept) if kept >= retention => Ok(()),
        Ok(_) => raise_retention(client, namespace, retention).await,
        Err(status) if status.code() == Code::NotFound => {
            register(client, namespace, retention).await?;
            while kept(client, namespace).await.is_err() {
                tokio::time::sleep(POLL).await;
            }
            Ok(())
        }
        Err(status) => Err(TemporalError::from_status("describe the namespace", status)),
    }
}

/// How long the namespace keeps closed workflows.
pub(crate) async fn kept(client: &mut Client, namespace: &str) -> Result<Duration, Status> {
    let request =
        DescribeNamespaceRequest { namespace: namespace.to_owned(), ..Default::default() };
    let answer = WorkflowService::describe_namespace(client, request.into_request()).await?;
    let ttl = answer
        .into_inner()
        .config
        .and_then(|config| config.workflow_execution_retention_ttl)
        .unwrap_or_default();
    Ok(Duration::from_secs(u64::try_from(ttl.seconds).unwrap_or_default()))
}

async fn raise_retention(
    client: &mut Client,
    namespace: &str,
    retention: Duration,
) -> Result<(), TemporalError> {
    let request = UpdateNamespaceRequest {
        namespace: namespace.to_owned(),
        config: Some(NamespaceConfig {
            workflow_execution_retention_ttl: retention.try_into().ok(),
            ..Default::default()
        }),
        ..Default::default()
    };
    match WorkflowService::update_namespace(client, request.into_request()).await {
        Ok(_) => Ok(()),
        Err(status) => Err(TemporalError::from_status("raise the namespace's retention", status)),
    }
}

async fn register(
    client: &mut Client,
    namespace: &str,
    retention: Duration,
) -> Result<(), TemporalError> {
    let request = RegisterNamespaceRequest {
        namespace: namespace.to_owned(),
        description: "User registrations".to_owned(),
        workflow_execution_retention_period: retention.try_into().ok(),
        ..Default::default()
    };
    match WorkflowService::register_namespace(client, request.into_request()).await {
        Err(status) if status.code() != Code::AlreadyExists => {
            Err(TemporalError::from_status("register the namespace", status))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// An upsert of an unregistered attribute would brick a workflow, so setup
/// waits until the server lists them.
async fn prepare_attributes(client: &mut Client, namespace: &str) -> Result<(), TemporalError> {
    const WHAT: &str = "register the search attributes";
    while !listed(client, namespace).await? {
        let keyword = i32::from(IndexedValueType::Keyword as u8);
        let request = AddSearchAttributesRequest {
            namespace: namespace.to_owned(),
            search_attributes: attributes().map(|name| (name.to_owned(), keyword)).collect(),
        };
        match OperatorService::add_search_attributes(client, request.into_request()).await {
            Err(status) if status.code() != Code::AlreadyExists => {
                return Err(TemporalError::from_status(WHAT, status));
            }
            Ok(_) | Err(_) => tokio::time::sleep(POLL).await,
        }
    }
    Ok(())
}

pub(crate) async fn listed(client: &mut Client, namespace: &str) -> Result<bool, TemporalError> {
    let request = ListSearchAttributesRequest { namespace: namespace.to_owned() };
    let answer = OperatorService::list_search_attributes(client, request.into_request())
        .await
        .map_err(|status| TemporalError::from_status("list the search attributes", status))?;
    let custom = answer.into_inner().custom_attributes;
    Ok(attributes().all(|name| custom.contains_key(name)))
}

/// The search attributes of the workflows of all events.
fn attributes() -> impl Iterator<Item = &'static str> {
    let own = onboard_events::known().filter_map(|known| match known.workflow {
        Workflow::Own(own) => Some(own.attribute),
        Workflow::Delivery => None,
    });
    std::iter::once(ATTRIBUTE_STAGE).chain(own)
}
