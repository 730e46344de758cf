//! Stop 6 of a registration: the signal by which the todo service acknowledges.
//!
//! It is sent after the commit, and again until it is noted; the workflow takes the
//! first and ignores the rest.

use onboard_events::Acknowledgement;
use onboard_events::registration::workflow_id;
use onboard_events::todo::SIGNAL_ACKNOWLEDGED;
use onboard_inbox::{Acknowledge, Done, Heard};
use onboard_runtime::availability::chain;
use onboard_temporal::{Signalled, Temporal, TemporalError};
use tracing::Span;

/// Signals workflows.
#[derive(Debug, Clone)]
pub(crate) struct Signal(pub(crate) Temporal);

impl Acknowledge for Signal {
    async fn acknowledge(&self, done: &Done) -> Heard {
        let acknowledgement =
            Acknowledgement { event_id: done.event_id, todo_id: done.reference.into() };
        let (workflow, request) = (workflow_id(done.event_id), format!("ack-{}", done.event_id));
        match self.0.tell(workflow, SIGNAL_ACKNOWLEDGED, &acknowledgement, request).await {
            Ok(Signalled::Delivered | Signalled::NoWorkflow) => Heard::Yes,
            Ok(Signalled::Busy) => Heard::Busy,
            Err(TemporalError::Unavailable { .. }) => Heard::Unavailable,
            Err(error @ TemporalError::Refused { .. }) => Heard::Refused(chain(&error)),
        }
    }

    async fn answers(&self) -> bool {
        self.0.ping().await.is_ok()
    }

    fn span(&self, done: &Done) -> Span {
        let event = done.event_id;
        tracing::info_span!(
            parent: None,
            "todo.signal",
            otel.name = format!("signal {SIGNAL_ACKNOWLEDGED}"),
            otel.kind = "client",
            event_id = %event,
            temporalWorkflowID = workflow_id(event),
        )
    }
}
