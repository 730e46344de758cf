//! The activities of a delivery as the workflow asks for them: what an
//! operator reads meanwhile, how often they are retried, how they fail.
//!
//! The first publish and the two updates of the outbox row are quick: they run
//! as local activities, inside the workflow task that decides on them, and leave
//! a marker. When one does not succeed there within a second or two it is asked
//! for again as an activity of its own, which shows its attempts and their cause.

use std::time::Duration;

use onboard_contract::workflow::{CopyRef, EventRef, PublishRef, Published, RecordRef};
use onboard_contract::{Acknowledged, ConsumerName, Question};
use onboard_events::user_registered::USER_REGISTERED;
use serde::de::DeserializeOwned;
use temporalio_common::ActivityDefinition;
use temporalio_common::error::{ActivityExecutionError, ApplicationFailure};
use temporalio_common::protos::temporal::api::failure::v1::Failure;
use temporalio_workflow::{
    ActivityOptions, LocalActivityOptions, RetryPolicy, WorkflowCancellationToken, WorkflowContext,
    WorkflowResult, WorkflowTermination,
};

use super::details::{ended, waiting_for};
use super::show;
use super::state::{Delivering, State};
use crate::activities::RegistrationActivities;

/// The longest wait between two tries of an activity.
const RETRY_MAX: Duration = Duration::from_secs(20);
/// The longest wait between two tries of a question. A consumer that is up but cannot
/// answer has many of them.
const QUESTION_RETRY_MAX: Duration = Duration::from_mins(10);

/// Publishes the event to its exchange, and says whether the broker took it for
/// every queue.
pub(crate) async fn publish_event<W: Delivering>(
    ctx: &WorkflowContext<W>,
) -> WorkflowResult<Published> {
    let event_type = super::of(ctx, |s| s.event_type.clone());
    waiting_for(ctx, format!("RabbitMQ to confirm the event {event_type}"));
    let summary = format!("publish {event_type} and await the broker's confirm");
    let quick = Quick { server: "RabbitMQ", summary: &summary, tries: 1 };
    if event_type != USER_REGISTERED {
        return quick.run(ctx, || RegistrationActivities::publish_event, event(ctx)).await;
    }
    let publish = PublishRef { tells_refusal: true, ..event(ctx).into() };
    let published =
        quick.run(ctx, || RegistrationActivities::publish_user_registered, publish).await?;
    // A worker of a released build does not say it: it returns with the confirm alone.
    Ok(published.unwrap_or(Published::Confirmed))
}

/// Publishes a copy straight to the queue of one consumer, unless `over` comes
/// first; then nothing is known of the copy.
pub(crate) async fn publish_copy<W: Delivering>(
    ctx: &WorkflowContext<W>,
    consumer: &ConsumerName,
    only_if_empty: bool,
    over: impl Fn(&State) -> bool,
) -> WorkflowResult<Option<Published>> {
    let EventRef { event_id, traceparent } = event(ctx);
    let consumer = consumer.clone();
    let token = ctx.cancellation_token().child_token();
    let mut options = retried(&format!("publish a copy to the queue of {consumer}"));
    options.cancellation_token = Some(token.clone());
    let copy = CopyRef { event_id, traceparent, consumer, only_if_empty };
    let activity = ctx.execute_activity(RegistrationActivities::publish_copy, copy, options);
    let published = unless(ctx, |w: &W| over(w.delivery()), activity, &token).await?;
    published.transpose().map_err(|error| failed(ctx, error))
}

/// Asks a consumer, on its task queue, whether it has processed the event, unless
/// `over` comes first. The question has no end of its own: while the consumer is down
/// it is one pending activity, and nothing is written.
pub(crate) async fn ask<W: Delivering>(
    ctx: &WorkflowContext<W>,
    consumer: &ConsumerName,
    task_queue: String,
    over: impl Fn(&State) -> bool,
) -> WorkflowResult<Option<Option<Acknowledged>>> {
    let EventRef { event_id, traceparent } = event(ctx);
    let aggregate_id = super::of(ctx, |s| s.aggregate_id);
    let question = Question { event_id, aggregate_id, traceparent };
    let token = ctx.cancellation_token().child_token();
    let mut options = retried(&format!("ask {consumer} whether it has processed the event"));
    options.retry_policy = Some(without_end(QUESTION_RETRY_MAX));
    options.task_queue = Some(task_queue);
    options.cancellation_token = Some(token.clone());
    let activity = RegistrationActivities::find_acknowledgement;
    let asked = ctx.execute_activity(activity, question, options);
    let answer = unless(ctx, |w: &W| over(w.delivery()), asked, &token).await?;
    answer.transpose().map_err(|error| failed(ctx, error))
}

/// Awaits an activity, or cancels it when the condition holds first.
pub(crate) async fn unless<W, T>(
    ctx: &WorkflowContext<W>,
    over: impl FnMut(&W) -> bool,
    activity: impl Future<Output = T>,
    token: &WorkflowCancellationToken,
) -> WorkflowResult<Option<T>> {
    let done = before(ctx, over, activity).await?;
    if done.is_none() {
        token.cancel();
    }
    Ok(done)
}

/// What an activity or a timer returns; `None` when the condition holds first.
pub(crate) async fn before<W, T>(
    ctx: &WorkflowContext<W>,
    condition: impl FnMut(&W) -> bool,
    work: impl Future<Output = T>,
) -> WorkflowResult<Option<T>> {
    let mut condition = Box::pin(ctx.wait_condition(condition));
    let mut work = Box::pin(futures::FutureExt::fuse(work));
    Ok(temporalio_workflow::select! {
        holds = condition => { holds?; None }
        done = work => Some(done),
    })
}

pub(crate) async fn mark_sent<W: Delivering>(ctx: &WorkflowContext<W>) -> WorkflowResult<()> {
    waiting_for(ctx, "MongoDB to mark the outbox row SENT");
    let quick = Quick { server: "MongoDB", summary: "mark the outbox row SENT", tries: 2 };
    quick.run(ctx, || RegistrationActivities::mark_outbox_sent, event(ctx)).await
}

/// Records on the row that the consumer has acknowledged.
pub(crate) async fn record<W: Delivering>(
    ctx: &WorkflowContext<W>,
    consumer: ConsumerName,
    reference: Option<String>,
) -> WorkflowResult<()> {
    waiting_for(ctx, "MongoDB to record the acknowledgement on the outbox row");
    let EventRef { event_id, traceparent } = event(ctx);
    let record = RecordRef { event_id, traceparent, consumer: Some(consumer), reference };
    let summary = "record the acknowledgement on the outbox row";
    let quick = Quick { server: "MongoDB", summary, tries: 2 };
    quick.run(ctx, || RegistrationActivities::record_acknowledgement, record).await
}

/// An activity that runs inside the workflow task and, when the server does not
/// do it there at once, as an activity of its own.
struct Quick<'a> {
    server: &'a str,
    summary: &'a str,
    tries: u32,
}

impl Quick<'_> {
    async fn run<W: Delivering, A, I, O>(
        &self,
        ctx: &WorkflowContext<W>,
        activity: impl Fn() -> A,
        input: I,
    ) -> WorkflowResult<O>
    where
        A: ActivityDefinition<Input = I, Output = O>,
        I: Clone,
        O: DeserializeOwned + 'static,
    {
        let Self { server, summary, tries } = self;
        match ctx.execute_local_activity(activity(), input.clone(), local(summary, *tries)).await {
            Ok(done) => Ok(done),
            Err(error) if is_permanent(&error) => Err(failed(ctx, error)),
            Err(_) => {
                waiting_for(ctx, format!("{server}, which did not take it at once: {summary}"));
                show(ctx);
                ctx.execute_activity(activity(), input, retried(summary))
                    .await
                    .map_err(|error| failed(ctx, error))
            }
        }
    }
}

pub(crate) fn event<W: Delivering>(ctx: &WorkflowContext<W>) -> EventRef {
    super::of(ctx, |s| EventRef { event_id: s.event_id, traceparent: s.traceparent.clone() })
}

/// Retried without end: only a permanent failure, which says so itself, stops
/// a registration. The start-to-close time-out lies above the time-outs of
/// MongoDB (5 s a call) and of the broker's confirm (5 s).
pub(crate) fn retried(summary: &str) -> ActivityOptions {
    ActivityOptions::with_start_to_close_timeout(Duration::from_secs(15))
        .retry_policy(without_end(RETRY_MAX))
        .summary(summary)
        .build()
}

fn without_end(wait_max: Duration) -> RetryPolicy {
    RetryPolicy::builder()
        .initial_interval(Duration::from_secs(1))
        .backoff_coefficient(2.0)
        .maximum_interval(wait_max)
        .maximum_attempts(0)
        .build()
}

/// Short tries. Their number is what bounds it: the SDK does not see a
/// schedule-to-close time-out that falls between two tries. All of it lies far
/// below a workflow task's 10 s, so that the task is never prolonged.
fn local(summary: &str, tries: u32) -> LocalActivityOptions {
    let retry = RetryPolicy::builder()
        .initial_interval(Duration::from_millis(50))
        .maximum_attempts(tries)
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
pub(crate) fn failed<W>(
    ctx: &WorkflowContext<W>,
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
