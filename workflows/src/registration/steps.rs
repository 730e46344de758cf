//! The activities of a registration as the workflow asks for them: what an
//! operator reads meanwhile, how often they are retried, how they fail.
//!
//! The two updates of the outbox row are quick: they run as local activities,
//! inside the workflow task that decides on them, and leave a marker. When one
//! does not succeed there within two seconds it is asked for again as an
//! activity of its own, which shows its attempts and their cause.

use std::time::Duration;

use onboard_contract::Acknowledgement;
use onboard_contract::workflow::EventRef;
use temporalio_common::ActivityDefinition;
use temporalio_common::error::{ActivityExecutionError, ApplicationFailure};
use temporalio_common::protos::temporal::api::failure::v1::Failure;
use temporalio_workflow::{
    ActivityOptions, LocalActivityOptions, RetryPolicy, WorkflowContext, WorkflowResult,
    WorkflowTermination,
};

use super::details::{ended, waiting_for};
use super::{UserRegistration, show};
use crate::activities::RegistrationActivities;

pub(super) async fn publish(ctx: &mut WorkflowContext<UserRegistration>) -> WorkflowResult<()> {
    waiting_for(ctx, "RabbitMQ to confirm the event USER_REGISTERED");
    let event = event(ctx);
    let options = retried("publish USER_REGISTERED and await the broker's confirm");
    ctx.execute_activity(RegistrationActivities::publish_user_registered, event, options)
        .await
        .map_err(|error| failed(ctx, error))?;
    ctx.state_mut(|s| s.publishes += 1);
    Ok(())
}

/// Publishes again, unless the acknowledgement comes first: while the broker
/// is down a publish may take for ever, and an earlier one may have sufficed.
pub(super) async fn publish_again(
    ctx: &mut WorkflowContext<UserRegistration>,
) -> WorkflowResult<()> {
    waiting_for(
        ctx,
        "RabbitMQ to confirm the event, published again, or the todo service to acknowledge it",
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
            published.map_err(|error| failed(ctx, error))?;
            ctx.state_mut(|s| s.publishes += 1);
        }
    }
    Ok(())
}

pub(super) async fn mark_sent(ctx: &mut WorkflowContext<UserRegistration>) -> WorkflowResult<()> {
    waiting_for(ctx, "MongoDB to mark the outbox row SENT");
    quick(ctx, || RegistrationActivities::mark_outbox_sent, "mark the outbox row SENT").await
}

pub(super) async fn look_into_inbox(
    ctx: &mut WorkflowContext<UserRegistration>,
) -> WorkflowResult<Option<Acknowledgement>> {
    waiting_for(
        ctx,
        "MongoDB to say whether the todo inbox has the event, whose acknowledgement is overdue",
    );
    let event = event(ctx);
    let options = retried("look into the todo inbox for the overdue acknowledgement");
    ctx.execute_activity(RegistrationActivities::check_todo_acknowledgement, event, options)
        .await
        .map_err(|error| failed(ctx, error))
}

pub(super) async fn record(ctx: &mut WorkflowContext<UserRegistration>) -> WorkflowResult<()> {
    waiting_for(ctx, "MongoDB to record on the outbox row that the welcome task exists");
    let activity = || RegistrationActivities::record_acknowledgement;
    quick(ctx, activity, "record the acknowledgement on the outbox row").await
}

/// Runs an update of the row inside the workflow task; when MongoDB does not
/// take it there, as an activity of its own.
async fn quick<A>(
    ctx: &mut WorkflowContext<UserRegistration>,
    activity: impl Fn() -> A,
    summary: &str,
) -> WorkflowResult<()>
where
    A: ActivityDefinition<Input = EventRef, Output = ()>,
{
    let event = event(ctx);
    match ctx.execute_local_activity(activity(), event.clone(), local(summary)).await {
        Ok(()) => Ok(()),
        Err(error) if is_permanent(&error) => Err(failed(ctx, error)),
        Err(_) => {
            waiting_for(ctx, format!("MongoDB, which did not take it at once: {summary}"));
            show(ctx);
            ctx.execute_activity(activity(), event, retried(summary))
                .await
                .map_err(|error| failed(ctx, error))
        }
    }
}

fn event(ctx: &WorkflowContext<UserRegistration>) -> EventRef {
    ctx.state(|s| EventRef { event_id: s.input.event_id, traceparent: s.input.traceparent.clone() })
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

/// Two short tries. The number of tries is what bounds it: the SDK does not see
/// a schedule-to-close time-out that falls between two tries. All of it lies
/// far below a workflow task's 10 s, so that the task is never prolonged.
fn local(summary: &str) -> LocalActivityOptions {
    let retry = RetryPolicy::builder()
        .initial_interval(Duration::from_millis(50))
        .maximum_attempts(2)
        .build();
    LocalActivityOptions::builder()
        .retry_policy(retry)
        .start_to_close_timeout(Duration::from_secs(1))
        .schedule_to_close_timeout(Duration::from_secs(4))
        // Names the event in the marker: the audit reads it.
        .include_arguments_in_marker(true)
        .summary(summary.to_owned())
        .build()
}

/// Whether trying again cannot help.
fn is_permanent(error: &ActivityExecutionError) -> bool {
    typed(error).is_some_and(|failure| {
        failure.maybe_application_failure().is_some_and(|info| info.non_retryable)
    })
}

/// What the activity itself reported. That of a remote one is wrapped, that of
/// a local one is not.
fn typed(error: &ActivityExecutionError) -> Option<&Failure> {
    let reported = match error.reason() {
        Some(reason) => reason.failure(),
        None => error.failure()?,
    };
    reported.maybe_application_failure().map(|_| reported)
}

/// Ends the workflow with the activity's own failure type, so that an operator
/// finds it in the list of failed workflows without opening the history.
fn failed(
    ctx: &WorkflowContext<UserRegistration>,
    error: ActivityExecutionError,
) -> WorkflowTermination {
    let named = typed(&error).and_then(|failure| {
        let name = failure.maybe_application_failure()?.r#type.clone();
        (!name.is_empty()).then(|| (name, failure.message.clone()))
    });
    match named {
        Some((name, message)) => {
            ended(ctx, "Failed", format!("{name}, {message}; it needs a person"));
            ApplicationFailure::builder(message).type_name(name).non_retryable(true).build().into()
        }
        None => error.into(),
    }
}
