//! The `EventDelivery` workflow: the delivery of any event that has no workflow
//! of its own.
//!
//! It ends in one of three ways: completed (every expected consumer has
//! acknowledged or was waived), failed (its outbox row is missing or corrupt;
//! nothing else is permanent), or it keeps trying.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::needless_pass_by_value,
    reason = "the macros declare undocumented handles and demand these signatures"
)]

use onboard_contract::names::{
    SIGNAL_CONSUMER_ACKNOWLEDGED, SIGNAL_REPUBLISH, SIGNAL_WAIVED, WORKFLOW_EVENT_DELIVERY,
};
use onboard_contract::workflow::{Carried, DeliveryInput, Waiver};
use onboard_contract::{Acknowledged, Progress, Stage};
use temporalio_common::data_converters::RawValue;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_workflow::{
    ContinueAsNewOptions, SyncWorkflowContext, WorkflowContext, WorkflowContextView, WorkflowResult,
};

use crate::delivery::recipient::End;
use crate::delivery::state::{Begin, Delivering, State};
use crate::delivery::{deliver, enter};
use crate::signal::parse;

/// The state of one delivery.
#[workflow]
#[derive(Debug)]
pub struct EventDelivery {
    input: DeliveryInput,
    delivery: State,
}

#[workflow_methods]
impl EventDelivery {
    #[init]
    fn new(_ctx: &WorkflowContextView, input: DeliveryInput) -> Self {
        let delivery = State::new(Begin {
            event_id: input.event_id,
            event_type: &input.event_type,
            aggregate_id: input.aggregate_id,
            traceparent: input.traceparent.clone(),
            overdue_ms: input.overdue_ms,
            delivery: Some(&input.delivery),
            carried: input.carried.as_ref(),
        });
        Self { input, delivery }
    }

    #[run(name = WORKFLOW_EVENT_DELIVERY)]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Progress> {
        deliver(ctx).await?;
        enter(ctx, Stage::Acknowledged);
        Ok(ctx.state(|s| s.delivery.progress()))
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
    #[signal(name = SIGNAL_REPUBLISH)]
    fn republish(&mut self, _ctx: &mut SyncWorkflowContext<Self>, _reason: RawValue) {
        self.delivery.republishes += 1;
    }

    /// How far the delivery is.
    #[query(name = "progress")]
    fn progress(&self, _ctx: &WorkflowContextView) -> Progress {
        self.delivery.progress()
    }
}

impl Delivering for EventDelivery {
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
