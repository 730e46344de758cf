//! The activities as Temporal calls them; what they do is in their own files.

#![allow(
    missing_docs,
    dead_code,
    reason = "the macro declares undocumented handles that only workflows would use"
)]

use std::pin::Pin;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};
use onboard_broker::Publisher;
use onboard_contract::names::ACTIVITY_FIND_ROWS;
use onboard_contract::workflow::{CopyRef, EventRef, PublishRef, Published, RecordRef};
use onboard_contract::{EventId, TraceParent};
use onboard_events::Acknowledgement;
use onboard_inbox::Inbox;
use onboard_mongo::Mongo;
use onboard_outbox::Outbox;
use onboard_todo::INBOX_NAMES;
use onboard_todo::todos::Todos;
use onboard_workflows::activities::{
    CheckTodoAcknowledgement, MarkOutboxSent, PublishCopy, PublishEvent, PublishUserRegistered,
    RecordAcknowledgement,
};
use temporalio_sdk::activities::{ActivityContext, ActivityError, activities};
use tracing::Instrument;
use tracing::instrument::Instrumented;

use crate::attempt::Attempt;
use crate::check_todo_acknowledgement::check_todo_acknowledgement;
use crate::failure::Failure;
use crate::find_rows::find_rows;
use crate::mark_outbox_sent::mark_outbox_sent;
use crate::measured::measured;
use crate::publish_copy::publish_copy;
use crate::publish_event::publish_event;
use crate::publish_user_registered::publish_user_registered;
use crate::record_acknowledgement::record_acknowledgement;

/// The activities with what they work on.
#[derive(Debug, Clone)]
pub struct RegistrationActivities {
    outbox: Outbox,
    inbox: Inbox,
    todos: Todos,
    publisher: Publisher,
    row_missing_after: Duration,
}

impl RegistrationActivities {
    /// Over the stores and a publisher. An outbox row that is not found for
    /// `row_missing_after` is missing, which ends its workflow.
    #[must_use]
    pub fn new(
        (outbox, todo): (&Outbox, &Mongo),
        publisher: Publisher,
        row_missing_after: Duration,
    ) -> Self {
        Self {
            outbox: outbox.clone(),
            inbox: Inbox::new(todo.database(), INBOX_NAMES),
            todos: Todos::new(todo),
            publisher,
            row_missing_after,
        }
    }

    fn attempt(&self, ctx: &ActivityContext) -> Attempt {
        Attempt::of(ctx.info(), self.row_missing_after)
    }
}

#[activities]
impl RegistrationActivities {
    #[activity(definition = PublishUserRegistered)]
    async fn publish_user_registered(
        self: Arc<Self>,
        ctx: ActivityContext,
        publish: PublishRef,
    ) -> Result<Option<Published>, ActivityError> {
        let PublishRef { event_id, traceparent, tells_refusal } = publish;
        let (outbox, publisher, attempt) = (&self.outbox, &self.publisher, self.attempt(&ctx));
        let work = async {
            if tells_refusal {
                publish_event(outbox, publisher, event_id, attempt).await.map(Some)
            } else {
                publish_user_registered(outbox, publisher, event_id, attempt).await.map(|()| None)
            }
        };
        let work = while_wanted(&ctx, measured("publish_user_registered", work));
        traced(&ctx, &event(event_id, traceparent.as_ref()), work).await
    }

    #[activity(definition = PublishEvent)]
    async fn publish_event(
        self: Arc<Self>,
        ctx: ActivityContext,
        event: EventRef,
    ) -> Result<Published, ActivityError> {
        let attempt = self.attempt(&ctx);
        let work = publish_event(&self.outbox, &self.publisher, event.event_id, attempt);
        let work = while_wanted(&ctx, measured("publish_event", work));
        traced(&ctx, &event, work).await
    }

    #[activity(definition = PublishCopy)]
    async fn publish_copy(
        self: Arc<Self>,
        ctx: ActivityContext,
        copy: CopyRef,
    ) -> Result<Published, ActivityError> {
        let event = event(copy.event_id, copy.traceparent.as_ref());
        let work = publish_copy(&self.outbox, &self.publisher, copy, self.attempt(&ctx));
        let work = measured("publish_copy", work);
        traced(&ctx, &event, async { work.await.map_err(Failure::into_activity_error) }).await
    }

    #[activity(definition = MarkOutboxSent)]
    async fn mark_outbox_sent(
        self: Arc<Self>,
        ctx: ActivityContext,
        event: EventRef,
    ) -> Result<(), ActivityError> {
        let work = mark_outbox_sent(&self.outbox, event.event_id, self.attempt(&ctx));
        let work = measured("mark_outbox_sent", work);
        traced(&ctx, &event, while_wanted(&ctx, work)).await
    }

    #[activity(definition = CheckTodoAcknowledgement)]
    async fn check_todo_acknowledgement(
        self: Arc<Self>,
        ctx: ActivityContext,
        event: EventRef,
    ) -> Result<Option<Acknowledgement>, ActivityError> {
        let (outbox, inbox, todos) = (&self.outbox, &self.inbox, &self.todos);
        let work = check_todo_acknowledgement(outbox, inbox, todos, event.event_id);
        let work = measured("check_todo_acknowledgement", work);
        traced(&ctx, &event, async { work.await.map_err(Failure::into_activity_error) }).await
    }

    #[activity(name = ACTIVITY_FIND_ROWS)]
    async fn find_rows(
        self: Arc<Self>,
        _ctx: ActivityContext,
        events: Vec<EventId>,
    ) -> Result<Vec<EventId>, ActivityError> {
        let found = measured("find_rows", find_rows(&self.outbox, events)).await;
        found.map_err(Failure::into_activity_error)
    }

    #[activity(definition = RecordAcknowledgement)]
    async fn record_acknowledgement(
        self: Arc<Self>,
        ctx: ActivityContext,
        record: RecordRef,
    ) -> Result<(), ActivityError> {
        let event = event(record.event_id, record.traceparent.as_ref());
        let work = record_acknowledgement(&self.outbox, record, self.attempt(&ctx));
        let work = while_wanted(&ctx, measured("record_acknowledgement", work));
        traced(&ctx, &event, work).await
    }
}

fn event(event_id: EventId, traceparent: Option<&TraceParent>) -> EventRef {
    EventRef { event_id, traceparent: traceparent.cloned() }
}

fn traced<T, F>(ctx: &ActivityContext, event: &EventRef, work: F) -> Instrumented<Pin<Box<F>>>
where
    F: Future<Output = Result<T, ActivityError>>,
{
    let span = onboard_poller::span(ctx.info(), event.event_id, event.traceparent.as_ref());
    Box::pin(work).instrument(span)
}

/// Stops the work of a local activity whose time is over: its slot is given
/// away already, and what nobody waits for must not pile up. A remote one goes
/// on to its own end, under the worker's deadline.
async fn while_wanted<T>(
    ctx: &ActivityContext,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, ActivityError> {
    let over = async {
        if ctx.info().is_local {
            ctx.cancelled().await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    match select(pin!(work), pin!(over)).await {
        Either::Left((done, _)) => done.map_err(Failure::into_activity_error),
        Either::Right(((), _)) => Err(ActivityError::cancelled()),
    }
}
