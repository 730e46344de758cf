//! What can go wrong with Temporal, and whether trying again can help.

use onboard_runtime::Plain;
use temporalio_client::errors::{ClientConnectError, WorkflowInteractionError, WorkflowStartError};
use temporalio_client::tonic::{Code, Status};

/// A call to Temporal failed.
#[derive(Debug, thiserror::Error)]
pub enum TemporalError {
    /// Not connected, overloaded or timed out; whether a call took effect is
    /// unknown. Retryable, since every call of ours may be repeated.
    #[error("Temporal is unavailable: could not {what}")]
    Unavailable {
        /// The call, as a verb.
        what: &'static str,
        /// The server's answer, when there was one.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// Temporal refused, and will again until somebody acts: the namespace is
    /// missing, a search attribute is not registered, access is denied.
    #[error("Temporal refused to {what}")]
    Refused {
        /// The call, as a verb.
        what: &'static str,
        /// The server's answer.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl TemporalError {
    /// Whether the same call may succeed later without anybody acting.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Refused { .. } => false,
        }
    }

    pub(crate) const fn away(what: &'static str) -> Self {
        Self::Unavailable { what, source: None }
    }

    pub(crate) fn from_status(what: &'static str, status: Status) -> Self {
        if is_passing(status.code()) {
            Self::Unavailable { what, source: Some(Box::new(status)) }
        } else {
            Self::Refused { what, source: Box::new(status) }
        }
    }

    pub(crate) fn from_start(what: &'static str, error: WorkflowStartError) -> Self {
        match error {
            WorkflowStartError::Rpc(status) => Self::from_status(what, status),
            other => Self::Refused { what, source: Box::new(other) },
        }
    }

    pub(crate) fn from_interaction(what: &'static str, error: WorkflowInteractionError) -> Self {
        match error {
            WorkflowInteractionError::Rpc(status) => Self::from_status(what, status),
            other => Self::Refused { what, source: Box::new(other) },
        }
    }

    pub(crate) fn from_connect(what: &'static str, error: ClientConnectError) -> Self {
        match error {
            ClientConnectError::InvalidUri(_)
            | ClientConnectError::InvalidHeaders(_)
            | ClientConnectError::InvalidConfig(_) => {
                Self::Refused { what, source: Box::new(error) }
            }
            other => Self::Unavailable { what, source: Some(Box::new(other)) },
        }
    }
}

impl Plain for TemporalError {
    fn words(&self) -> String {
        match self {
            Self::Unavailable { source: None, .. } => "Temporal does not answer".to_owned(),
            Self::Unavailable { what, source: Some(source) } => match network(&**source) {
                Some(why) => format!("Temporal does not answer: {why}"),
                None => said(&format!("Temporal could not {what} now"), &**source),
            },
            Self::Refused { source, .. } => said(&self.to_string(), &**source),
        }
    }

    fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Unavailable { .. } => {
                Some("start Temporal, or mend TEMPORAL_ADDRESS, TLS or the network")
            }
            Self::Refused { .. } => None,
        }
    }
}

/// What the network did, where the error is the network's.
fn network(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return Some(error.kind().to_string());
        }
        next = error.source();
    }
    None
}

/// What failed, with the server's own message where it gave one.
fn said(failed: &str, error: &(dyn std::error::Error + 'static)) -> String {
    let mut next = Some(error);
    while let Some(error) = next {
        let status = match error.downcast_ref::<ClientConnectError>() {
            Some(ClientConnectError::SystemInfoCallError(status)) => Some(status),
            Some(_) | None => error.downcast_ref::<Status>(),
        };
        if let Some(status) = status.filter(|status| !status.message().is_empty()) {
            return format!("{failed}: {}", status.message());
        }
        next = error.source();
    }
    failed.to_owned()
}

/// A client-side time-out shows as `Cancelled`; a server that is stopping
/// answers `Unavailable`, `Unknown` or `Internal`.
fn is_passing(code: Code) -> bool {
    match code {
        Code::Unavailable
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Unknown
        | Code::Internal
        | Code::Aborted => true,
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => false,
    }
}
