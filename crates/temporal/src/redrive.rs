//! Putting an event back to work, through its workflow alone.
//!
//! Both calls may be repeated and cut off anywhere: the workflow takes any
//! number of requests to publish again, and the inbox any number of messages.

use std::time::{Duration, Instant};

use onboard_contract::names::SIGNAL_REPUBLISH;
use onboard_contract::{EventId, EventType, Start};
use onboard_runtime::Backoff;
use temporalio_client::WorkflowIdReusePolicy;

use crate::{Signalled, Started, Temporal, TemporalError};

/// How long a busy workflow is asked again. It ends within a workflow task, a few
/// milliseconds as a rule.
const BUSY_MAX: Duration = Duration::from_secs(2);

impl Temporal {
    /// Asks a running workflow to publish once more; a busy one is asked again
    /// for 2 s. `redrive` names the run of the redrive and is all that Temporal
    /// is told; within one run the server takes a repeat for the same request.
    ///
    /// # Errors
    /// See [`TemporalError`].
    pub async fn republish(
        &self,
        event_type: &EventType,
        event: EventId,
        redrive: &str,
    ) -> Result<Signalled, TemporalError> {
        let request_id = format!("redrive-{redrive}-{event}");
        let payload = serde_json::json!({ "redriveId": redrive });
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(500));
        let begun = Instant::now();
        loop {
            let (workflow, request_id) = (event_type.workflow_id(event), request_id.clone());
            match self.tell(workflow, SIGNAL_REPUBLISH, &payload, request_id).await? {
                Signalled::Busy if begun.elapsed() < BUSY_MAX => {
                    tokio::time::sleep(backoff.failed()).await;
                }
                signalled => return Ok(signalled),
            }
        }
    }

    /// Starts a fresh run where there is none, or where the last one ended
    /// without success. One that has completed never runs again.
    ///
    /// # Errors
    /// See [`TemporalError`].
    pub async fn restart_workflow(&self, start: &Start) -> Result<Started, TemporalError> {
        self.start_run(start, WorkflowIdReusePolicy::AllowDuplicateFailedOnly).await
    }

    /// Starts a fresh run although an earlier one has completed: for a row
    /// that does not know of it, since it was restored to a time before. One
    /// that runs is left alone.
    ///
    /// # Errors
    /// See [`TemporalError`].
    pub async fn repeat_workflow(&self, start: &Start) -> Result<Started, TemporalError> {
        self.start_run(start, WorkflowIdReusePolicy::AllowDuplicate).await
    }
}
