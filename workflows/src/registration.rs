//! The `UserRegistration` workflow: publish, mark SENT, await the consumers'
//! acknowledgements, record them.
//!
//! It ends in one of three ways: completed (every expected consumer has done
//! its part), failed (its outbox row is missing or corrupt; nothing else is
//! permanent), or it keeps trying.
//!
//! An input with a `delivery` names its consumers (`delivery`). One without is
//! of the plan of released builds: this file, for the todo service alone.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::needless_pass_by_value,
    reason = "the macros declare undocumented handles and demand these signatures"
)]

mod released;
mod wait;

use onboard_contract::names::{SIGNAL_CONSUMER_ACKNOWLEDGED, SIGNAL_WAIVED};
use onboard_contract::workflow::{Carried, Waiver};
use onboard_contract::{Acknowledged, Stage};
use onboard_events::registration::WORKFLOW;
use onboard_events::todo::SIGNAL_ACKNOWLEDGED;
use onboard_events::user_registered::USER_REGISTERED;
use onboard_events::{Acknowledgement, RegistrationInput, RegistrationProgress, TodoId};
use temporalio_common::data_converters::RawValue;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_workflow::{
    ContinueAsNewOptions, SyncWorkflowContext, WorkflowContext, WorkflowContextView, WorkflowResult,
};

use self::released::deliver_to_todo;
use crate::delivery::recipient::End;
use crate::delivery::state::{Begin, Delivering, State};
use crate::delivery::{deliver, enter};
use crate::signal::parse;

/// The state of one registration.
#[workflow]
#[derive(Debug)]
pub struct UserRegistration {
    input: RegistrationInput,
    delivery: State,
    acknowledgement: Option<Acknowledgement>,
    republish: bool,
}

#[workflow_methods]
impl UserRegistration {
    #[init]
    fn new(_ctx: &WorkflowContextView, input: RegistrationInput) -> Self {
        let mut delivery = State::new(Begin {
            event_id: input.event_id,
            event_type: USER_REGISTERED,
            aggregate_id: input.user_id.uuid(),
            traceparent: input.traceparent.clone(),
            overdue_ms: input.overdue_ms,
            delivery: input.delivery.as_ref(),
            carried: input.carried.as_ref(),
        });
        let welcome = TodoId::welcome(input.user_id).to_string();
        for one in delivery.recipients.iter_mut().filter(|one| one.consumer == onboard_events::TODO)
        {
            one.reference.get_or_insert_with(|| welcome.clone());
        }
        Self { input, delivery, acknowledgement: None, republish: false }
    }

    #[run(name = WORKFLOW)]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<RegistrationProgress> {
        if ctx.state(|s| s.input.delivery.is_some()) {
            deliver(ctx).await?;
        } else {
            deliver_to_todo(ctx).await?;
        }
        enter(ctx, Stage::Acknowledged);
        Ok(ctx.state(Self::progress_now))
    }

    /// The todo service has committed the welcome todo. The first one counts, in the
    /// plan for several consumers only when it names the one welcome todo that this
    /// user can have. Anything that is not an acknowledgement of this event is ignored,
    /// since a payload that fails to parse here would stop the workflow for good.
    #[signal(name = SIGNAL_ACKNOWLEDGED)]
    fn todo_acknowledged(&mut self, _ctx: &mut SyncWorkflowContext<Self>, payload: RawValue) {
        let parsed = parse::<Acknowledgement>(&payload)
            .filter(|found| found.event_id == self.input.event_id);
        if self.input.delivery.is_some() {
            let reference = parsed.map(|found| found.todo_id.to_string());
            if reference.is_some() {
                self.delivery.end(&onboard_events::TODO, End::Acknowledged(reference));
            }
        } else if self.acknowledgement.is_none() {
            self.acknowledgement = parsed;
        }
    }

    /// A consumer has processed the event. The first acknowledgement of each expected
    /// consumer counts; anything else is ignored.
    #[signal(name = SIGNAL_CONSUMER_ACKNOWLEDGED)]
    fn acknowledged(&mut self, _ctx: &mut SyncWorkflowContext<Self>, payload: RawValue) {
        let parsed = parse::<Acknowledged>(&payload);
        if let Some(found) = parsed.filter(|found| found.event_id == self.input.event_id) {
            self.delivery.end(&found.consumer, End::Acknowledged(found.reference));
        }
    }

    /// An operator does not await a consumer any more, which the row says, too.
    #[signal(name = SIGNAL_WAIVED)]
    fn waived(&mut self, _ctx: &mut SyncWorkflowContext<Self>, payload: RawValue) {
        if let Some(waiver) = parse::<Waiver>(&payload) {
            self.delivery.end(&waiver.consumer, End::Waived);
        }
    }

    /// An operator asks for another publish. Takes any payload, or none.
    #[signal(name = "republish")]
    fn republish(&mut self, _ctx: &mut SyncWorkflowContext<Self>, _reason: RawValue) {
        self.republish = true;
        self.delivery.republishes += 1;
    }

    /// How far the registration is.
    #[query(name = "progress")]
    fn progress(&self, _ctx: &WorkflowContextView) -> RegistrationProgress {
        self.progress_now()
    }
}

impl UserRegistration {
    fn progress_now(&self) -> RegistrationProgress {
        let acknowledged = self.delivery.reference_of(&onboard_events::TODO);
        let todo_id = match &self.acknowledgement {
            Some(found) => Some(found.todo_id),
            None => acknowledged.and_then(|todo| todo.parse().ok()),
        };
        RegistrationProgress { delivery: self.delivery.progress(), todo_id }
    }
}

impl Delivering for UserRegistration {
    fn delivery(&self) -> &State {
        &self.delivery
    }

    fn delivery_mut(&mut self) -> &mut State {
        &mut self.delivery
    }

    fn carry_on(ctx: &WorkflowContext<Self>, carried: Carried) -> WorkflowResult<()> {
        let mut input = ctx.state(|s| s.input.clone());
        input.carried = Some(carried);
        ctx.continue_as_new(input, ContinueAsNewOptions::default()).map(drop)
    }
}
