//! The activities that the workflows ask for; their bodies are in the crate `activities`.

#![allow(missing_docs, reason = "the macro drops the documents of what it declares")]

use onboard_contract::names::{
    ACTIVITY_FIND_ACKNOWLEDGEMENT, ACTIVITY_MARK_SENT, ACTIVITY_PUBLISH_COPY,
    ACTIVITY_PUBLISH_EVENT, ACTIVITY_RECORD,
};
use onboard_contract::workflow::{CopyRef, EventRef, PublishRef, Published, RecordRef};
use onboard_contract::{Acknowledged, Question};
use onboard_events::Acknowledgement;
use onboard_events::registration::ACTIVITY_PUBLISH;
use onboard_events::todo::ACTIVITY_CHECK;
use temporalio_common::ActivityError;
use temporalio_macros::activity_definitions;

/// The activities of a registration.
#[derive(Debug, Clone, Copy)]
pub struct RegistrationActivities;

#[activity_definitions]
#[allow(
    clippy::missing_errors_doc,
    clippy::needless_pass_by_value,
    clippy::unimplemented,
    reason = "the macro demands these signatures and bodies"
)]
impl RegistrationActivities {
    /// Publishes a registration's event and awaits the broker's confirm. Says what
    /// the broker answered where the input asks for that.
    #[activity(name = ACTIVITY_PUBLISH)]
    pub fn publish_user_registered(event: PublishRef) -> Result<Option<Published>, ActivityError> {
        unimplemented!()
    }

    /// Publishes an event of any other type to its exchange, and says whether the
    /// broker took it for every queue.
    #[activity(name = ACTIVITY_PUBLISH_EVENT)]
    pub fn publish_event(event: EventRef) -> Result<Published, ActivityError> {
        unimplemented!()
    }

    /// Publishes a copy straight to the queue of one consumer.
    #[activity(name = ACTIVITY_PUBLISH_COPY)]
    pub fn publish_copy(copy: CopyRef) -> Result<Published, ActivityError> {
        unimplemented!()
    }

    /// Moves the outbox row from PENDING to SENT.
    #[activity(name = ACTIVITY_MARK_SENT)]
    pub fn mark_outbox_sent(event: EventRef) -> Result<(), ActivityError> {
        unimplemented!()
    }

    /// Asks a consumer, on its own task queue, whether it has processed the event.
    #[activity(name = ACTIVITY_FIND_ACKNOWLEDGEMENT)]
    pub fn find_acknowledgement(question: Question) -> Result<Option<Acknowledged>, ActivityError> {
        unimplemented!()
    }

    /// Looks into the inbox: has the todo service processed the event?
    #[activity(name = ACTIVITY_CHECK)]
    pub fn check_todo_acknowledgement(
        event: EventRef,
    ) -> Result<Option<Acknowledgement>, ActivityError> {
        unimplemented!()
    }

    /// Records on the outbox row what a consumer has acknowledged; with the last
    /// expected one, that the event is done.
    #[activity(name = ACTIVITY_RECORD)]
    pub fn record_acknowledgement(record: RecordRef) -> Result<(), ActivityError> {
        unimplemented!()
    }
}

/// The contracts that the bodies are checked against.
pub use registration_activities::{
    CheckTodoAcknowledgement, MarkOutboxSent, PublishCopy, PublishEvent, PublishUserRegistered,
    RecordAcknowledgement,
};
