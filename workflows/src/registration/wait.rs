//! The wait for the acknowledgement, and what ends it.

use std::time::Duration;

use temporalio_workflow::{TimerOptions, WorkflowContext, WorkflowResult};

use super::UserRegistration;
use crate::delivery::details::waiting_for_acknowledgement;
use crate::delivery::of;
use crate::delivery::patience::patience;
use crate::delivery::state::State;
use crate::delivery::steps::before;

/// The longest wait between two looks for an overdue acknowledgement.
const OVERDUE_CAP: Duration = Duration::from_mins(10);

/// What ended a wait.
pub(super) enum Woken {
    Acknowledged,
    Republish,
    Overdue,
}

pub(super) async fn wait(ctx: &WorkflowContext<UserRegistration>) -> WorkflowResult<Woken> {
    if ctx.state(|s| s.acknowledgement.is_some()) {
        return Ok(Woken::Acknowledged);
    }
    let patience = of(ctx, until_overdue);
    waiting_for_acknowledgement(ctx, patience);
    let token = ctx.cancellation_token().child_token();
    let overdue = TimerOptions::builder(patience)
        .summary("until the acknowledgement counts as overdue".to_owned())
        .cancellation_token(token.clone())
        .build();
    let is_told = |s: &UserRegistration| s.acknowledgement.is_some() || s.republish;
    let is_overdue = before(ctx, is_told, ctx.timer(overdue)).await?.is_some();
    if ctx.state(|s| s.acknowledgement.is_some()) {
        // The timer goes with the workflow; to cancel it is one event more.
        return Ok(Woken::Acknowledged);
    }
    token.cancel();
    Ok(if is_overdue { Woken::Overdue } else { Woken::Republish })
}

/// Doubles with every look that found nothing.
fn until_overdue(state: &State) -> Duration {
    patience(state.overdue(), state.overdue_checks, OVERDUE_CAP, state.event_id)
}
