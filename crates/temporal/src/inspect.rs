//! Facts about Temporal, for the doctor that judges them. Nothing here writes.

use std::time::Duration;

use temporalio_client::grpc::WorkflowService;
use temporalio_client::tonic::{Code, IntoRequest};
use temporalio_common::protos::temporal::api::workflowservice::v1::GetSystemInfoRequest;

use crate::connection::CALL_DEADLINE;
use crate::setup::{kept, listed};
use crate::{Answering, Pollers, RateLimit, Temporal, TemporalError, Unserved};

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Its version.
    pub version: String,
    /// The namespace; `None` when there is none.
    pub namespace: Option<Namespace>,
}

/// What was found in the namespace.
#[derive(Debug, Clone, PartialEq)]
pub struct Namespace {
    /// How long it keeps closed workflows.
    pub retention: Duration,
    /// Whether the search attributes are registered.
    pub has_attributes: bool,
    /// Who asks the task queue for work.
    pub pollers: Pollers,
    /// Who answers the questions of workflows.
    pub answering: Vec<Answering>,
    /// The limit that somebody has set for the activities of the task queue.
    pub limit: Option<RateLimit>,
    /// The version of the workers that gets tasks and does not poll.
    pub unserved: Option<Unserved>,
}

/// Asks.
///
/// # Errors
/// See [`TemporalError`].
pub async fn inspect(temporal: &Temporal) -> Result<Facts, TemporalError> {
    match tokio::time::timeout(CALL_DEADLINE, ask(temporal)).await {
        Ok(facts) => facts,
        Err(_) => Err(TemporalError::away("say what it is")),
    }
}

async fn ask(temporal: &Temporal) -> Result<Facts, TemporalError> {
    let mut client = temporal.client()?;
    let name = client.options().namespace.clone();
    let request = GetSystemInfoRequest::default().into_request();
    let info = WorkflowService::get_system_info(&mut client, request)
        .await
        .map_err(|status| TemporalError::from_status("tell its version", status))?
        .into_inner();
    let namespace = match kept(&mut client, &name).await {
        Ok(retention) => Some(Namespace {
            retention,
            has_attributes: listed(&mut client, &name).await?,
            pollers: temporal.pollers().await?,
            answering: temporal.answering().await?,
            limit: temporal.rate_limit().await?,
            unserved: temporal.unserved().await?,
        }),
        Err(status) if status.code() == Code::NotFound => None,
        Err(status) => return Err(TemporalError::from_status("describe the namespace", status)),
    };
    Ok(Facts { version: info.server_version, namespace })
}
