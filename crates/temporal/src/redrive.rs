//! Putting a registration back to work, through its workflow alone.
//!
//! Both calls may be repeated and cut off anywhere: the workflow takes any
//! number of requests to publish again, and the inbox any number of messages.

use onboard_contract::names::{SIGNAL_REPUBLISH, workflow_id};
use onboard_contract::{EventId, RegistrationInput};
use temporalio_client::WorkflowIdReusePolicy;

use crate::{Signalled, Started, Temporal, TemporalError};

impl Temporal {
    /// Asks a running workflow to publish once more. `redrive` names the run
    /// of the redrive and is all that Temporal is told; within one run the
    /// server takes a repeat for the same request.
    ///
    /// # Errors
    /// See [`TemporalError`].
    pub async fn republish(
        &self,
        event: EventId,
        redrive: &str,
    ) -> Result<Signalled, TemporalError> {
        let request_id = format!("redrive-{redrive}-{event}");
        let payload = serde_json::json!({ "redriveId": redrive });
        self.signal(workflow_id(event), SIGNAL_REPUBLISH, &payload, request_id).await
    }

    /// Starts a fresh run where there is none, or where the last one ended
    /// without success. One that has completed never runs again.
    ///
    /// # Errors
    /// See [`TemporalError`].
    pub async fn restart_registration(
        &self,
        input: &RegistrationInput,
    ) -> Result<Started, TemporalError> {
        self.start_run(input, WorkflowIdReusePolicy::AllowDuplicateFailedOnly).await
    }

    /// Starts a fresh run although an earlier one has completed: for a row
    /// that does not know of it, since it was restored to a time before. One
    /// that runs is left alone.
    ///
    /// # Errors
    /// See [`TemporalError`].
    pub async fn repeat_registration(
        &self,
        input: &RegistrationInput,
    ) -> Result<Started, TemporalError> {
        self.start_run(input, WorkflowIdReusePolicy::AllowDuplicate).await
    }
}
