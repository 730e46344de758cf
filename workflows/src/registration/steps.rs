//! The activities of a registration as the workflow asks for them: what an
//! operator reads meanwhile, how often they are retried, how they fail.

use std::time::Duration;

use onboard_contract::Acknowledgement;
use onboard_contract::workflow::EventRef;
use temporalio_common::error::{ActivityExecutionError, ApplicationFailure, IncomingError};
use temporalio_workflow::{
    ActivityOptions, RetryPolicy, WorkflowContext, WorkflowResult, WorkflowTermination,
};

use super::UserRegistration;
use crate::activities::RegistrationActivities;

pub(super) async fn publish(ctx: &mut WorkflowContext<UserRegistration>) -> WorkflowResult<()> {
    ctx.set_current_details(
        "Publishing USER_REGISTERED to RabbitMQ; waits here until the broker confirms.",
    );
    let event = event(ctx);
    let options = retried("publish USER_REGISTERED and await the broker's confirm");
    ctx.execute_activity(RegistrationActivities::publish_user_registered, event, options)
        .await
        .map_err(with_type)?;
    ctx.state_mut(|s| s.publishes += 1);
    Ok(())
}

/// Publishes again, unless the acknowledgement comes first: while the broker
/// is down a publish may take for ever, and an earlier one may have sufficed.
pub(super) async fn publish_again(
    ctx: &mut WorkflowContext<UserRegistration>,
) -> WorkflowResult<()> {
    ctx.set_current_details(
        "Publishing USER_REGISTERED again; waits here until the broker confirms or the todo \
         service acknowledges.",
    );
    let event = event(ctx);
    let token = ctx.cancellation_token().child_token();
    let mut options = retried("publish USER_REGISTERED again and await the broker's confirm");
    options.cancellation_token = Some(token.clone());
    let confirmed = {
        let activity = RegistrationActivities::publish_user_registered;
        let mut told = Box::pin(ctx.wait_condition(|s| s.acknowledgement.is_some()));
        let mut published =
            Box::pin(futures::FutureExt::fuse(ctx.execute_activity(activity, event, options)));
        temporalio_workflow::select! {
            told = told => { told?; None }
            published = published => Some(published),
        }
    };
    match confirmed {
        None => token.cancel(),
        Some(published) => {
            published.map_err(with_type)?;
            ctx.state_mut(|s| s.publishes += 1);
        }
    }
    Ok(())
}

pub(super) async fn mark_sent(ctx: &mut WorkflowContext<UserRegistration>) -> WorkflowResult<()> {
    ctx.set_current_details("The broker has confirmed; marking the outbox row SENT.");
    let event = event(ctx);
    let options = retried("mark the outbox row SENT");
    ctx.execute_activity(RegistrationActivities::mark_outbox_sent, event, options)
        .await
        .map_err(with_type)
}

pub(super) async fn look_into_inbox(
    ctx: &mut WorkflowContext<UserRegistration>,
) -> WorkflowResult<Option<Acknowledgement>> {
    ctx.set_current_details("The acknowledgement is overdue; looking into the todo inbox.");
    let event = event(ctx);
    let options = retried("look into the todo inbox for the overdue acknowledgement");
    ctx.execute_activity(RegistrationActivities::check_todo_acknowledgement, event, options)
        .await
        .map_err(with_type)
}

pub(super) async fn record(ctx: &mut WorkflowContext<UserRegistration>) -> WorkflowResult<()> {
    ctx.set_current_details("The welcome todo exists; recording that on the outbox row.");
    let event = event(ctx);
    let options = retried("record the acknowledgement on the outbox row");
    ctx.execute_activity(RegistrationActivities::record_acknowledgement, event, options)
        .await
        .map_err(with_type)
}

fn event(ctx: &WorkflowContext<UserRegistration>) -> EventRef {
    ctx.state(|s| EventRef { event_id: s.input.event_id })
}

/// Retried without end: only a permanent failure, which says so itself, stops
/// a registration. The start-to-close time-out lies above the time-outs of
/// MongoDB (5 s a call) and of the broker's confirm (5 s).
fn retried(summary: &str) -> ActivityOptions {
    let retry = RetryPolicy::builder()
        .initial_interval(Duration::from_secs(1))
        .backoff_coefficient(2.0)
        .maximum_interval(Duration::from_secs(20))
        .maximum_attempts(0)
        .build();
    ActivityOptions::with_start_to_close_timeout(Duration::from_secs(15))
        .retry_policy(retry)
        .summary(summary)
        .build()
}

/// Ends the workflow with the activity's own failure type, so that an operator
/// finds it in the list of failed workflows without opening the history.
fn with_type(error: ActivityExecutionError) -> WorkflowTermination {
    let permanent = match error.reason() {
        Some(IncomingError::Application(failure)) => {
            failure.type_name().map(|name| (name.to_owned(), failure.source_error().to_string()))
        }
        _ => None,
    };
    match permanent {
        Some((name, message)) => {
            ApplicationFailure::builder(message).type_name(name).non_retryable(true).build().into()
        }
        None => error.into(),
    }
}
