//! The plan of released builds, for the todo service alone: publish, mark SENT,
//! await the acknowledgement, record it. Runs that such a build has started go
//! on in it, and so do new ones whose row names no consumers.
//!
//! An acknowledgement that is overdue is looked for in the inbox, which is the
//! truth, and else the event is published again through the exchange.

use onboard_contract::Stage;
use onboard_events::Acknowledgement;
use temporalio_workflow::{WorkflowContext, WorkflowResult};

use super::UserRegistration;
use super::wait::{Woken, wait};
use crate::activities::RegistrationActivities;
use crate::delivery::details::waiting_for;
use crate::delivery::state::{Delivering as _, State};
use crate::delivery::steps::{event, failed, mark_sent, record, retried, unless};
use crate::delivery::{edit, enter, enter_sent, has_grown, of, show};

pub(super) async fn deliver_to_todo(ctx: &WorkflowContext<UserRegistration>) -> WorkflowResult<()> {
    if !of(ctx, |s| s.carried) {
        publish(ctx).await?;
        mark_sent(ctx).await?;
        enter_sent(ctx);
        // An acknowledgement that is there already is recorded in the same
        // workflow task: nobody could see SENT in between.
        if ctx.state(|s| s.acknowledgement.is_none()) {
            show(ctx);
        }
    }
    await_acknowledgement(ctx).await?;
    let todo_id = ctx.state(|s| s.acknowledgement.as_ref().map(|found| found.todo_id.to_string()));
    record(ctx, onboard_events::TODO, todo_id).await
}

async fn await_acknowledgement(ctx: &WorkflowContext<UserRegistration>) -> WorkflowResult<()> {
    loop {
        match wait(ctx).await? {
            Woken::Acknowledged => return Ok(()),
            Woken::Republish => {
                ctx.state_mut(|s| s.republish = false);
                publish_again(ctx).await?;
            }
            Woken::Overdue => {
                if let Some(found) = look_into_inbox(ctx).await? {
                    ctx.state_mut(|s| s.acknowledgement = Some(found));
                    return Ok(());
                }
                edit(ctx, |s| s.overdue_checks += 1);
                enter(ctx, Stage::Stalled);
                publish_again(ctx).await?;
            }
        }
        // A signal that came meanwhile is handled first: the next run would not
        // see it.
        let signalled = ctx.state(|s| s.acknowledgement.is_some() || s.republish);
        if has_grown(ctx) && !signalled {
            UserRegistration::carry_on(ctx, of(ctx, State::carry))?;
        }
    }
}

async fn publish(ctx: &WorkflowContext<UserRegistration>) -> WorkflowResult<()> {
    waiting_for(ctx, "RabbitMQ to confirm the event USER_REGISTERED");
    let options = retried("publish USER_REGISTERED and await the broker's confirm");
    ctx.execute_activity(RegistrationActivities::publish_user_registered, event(ctx), options)
        .await
        .map_err(|error| failed(ctx, error))?;
    edit(ctx, |s| s.publishes += 1);
    Ok(())
}

/// Publishes again, unless the acknowledgement comes first: while the broker
/// is down a publish may take for ever, and an earlier one may have sufficed.
async fn publish_again(ctx: &WorkflowContext<UserRegistration>) -> WorkflowResult<()> {
    waiting_for(
        ctx,
        "RabbitMQ to confirm the event, published again, or the todo service to acknowledge it",
    );
    let token = ctx.cancellation_token().child_token();
    let mut options = retried("publish USER_REGISTERED again and await the broker's confirm");
    options.cancellation_token = Some(token.clone());
    let activity = RegistrationActivities::publish_user_registered;
    let published = ctx.execute_activity(activity, event(ctx), options);
    let acknowledged = |s: &UserRegistration| s.acknowledgement.is_some();
    if let Some(published) = unless(ctx, acknowledged, published, &token).await? {
        published.map_err(|error| failed(ctx, error))?;
        edit(ctx, |s| s.publishes += 1);
    }
    Ok(())
}

async fn look_into_inbox(
    ctx: &WorkflowContext<UserRegistration>,
) -> WorkflowResult<Option<Acknowledgement>> {
    waiting_for(
        ctx,
        "MongoDB to say whether the todo inbox has the event, whose acknowledgement is overdue",
    );
    let options = retried("look into the todo inbox for the overdue acknowledgement");
    ctx.execute_activity(RegistrationActivities::check_todo_acknowledgement, event(ctx), options)
        .await
        .map_err(|error| failed(ctx, error))
}
