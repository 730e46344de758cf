//! The `UserRegistration` workflow: publish, mark SENT, await the todo
//! service's acknowledgement, record it.
//!
//! It ends in one of three ways: completed (the welcome todo exists), failed
//! (its outbox row is missing or corrupt; nothing else is permanent), or it
//! keeps trying. An acknowledgement that is overdue is looked for in the inbox,
//! which is the truth, and else the event is published again.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::needless_pass_by_value,
    reason = "the macros declare undocumented handles and demand these signatures"
)]

use std::time::Duration;

use onboard_contract::names::{ATTRIBUTE_STAGE, WORKFLOW};
use onboard_contract::workflow::{Carried, EventRef};
use onboard_contract::{Acknowledgement, Progress, RegistrationInput, Stage};
use temporalio_common::data_converters::RawValue;
use temporalio_common::error::{ActivityExecutionError, ApplicationFailure, IncomingError};
use temporalio_common::search_attributes::SearchAttributeKey;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_workflow::{
    ActivityOptions, ContinueAsNewOptions, RetryPolicy, SyncWorkflowContext, TimerOptions,
    WorkflowContext, WorkflowContextView, WorkflowResult, WorkflowTermination,
};

use crate::activities::RegistrationActivities;

const STAGE: SearchAttributeKey<String> = SearchAttributeKey::keyword(ATTRIBUTE_STAGE);

/// The longest wait between two looks for an overdue acknowledgement.
const OVERDUE_CAP: Duration = Duration::from_mins(10);
/// Far below the server's warning at 10,240 events.
const HISTORY_EVENTS_MAX: u32 = 2_000;

/// The state of one registration.
#[workflow]
#[derive(Debug)]
pub struct UserRegistration {
    input: RegistrationInput,
    stage: Stage,
    publishes: u32,
    overdue_checks: u32,
    acknowledgement: Option<Acknowledgement>,
    republish: bool,
}

/// What ended a wait.
enum Woken {
    Acknowledged,
    Republish,
    Overdue,
}

#[workflow_methods]
impl UserRegistration {
    #[init]
    fn new(_ctx: &WorkflowContextView, input: RegistrationInput) -> Self {
        let carried = input.carried.clone();
        Self {
            stage: if carried.is_some() { Stage::Stalled } else { Stage::Started },
            publishes: carried.as_ref().map_or(0, |c| c.publishes),
            overdue_checks: carried.as_ref().map_or(0, |c| c.overdue_checks),
            acknowledgement: None,
            republish: false,
            input,
        }
    }

    #[run(name = WORKFLOW)]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Progress> {
        if ctx.state(|s| s.input.carried.is_none()) {
            publish(ctx).await?;
            mark_sent(ctx).await?;
            enter(ctx, Stage::Sent);
        }
        await_acknowledgement(ctx).await?;
        record(ctx).await?;
        enter(ctx, Stage::Acknowledged);
        Ok(ctx.state(Self::progress_now))
    }

    /// The todo service has committed the welcome todo. The first one counts;
    /// anything that is not an acknowledgement of this event is ignored, since
    /// a payload that fails to parse here would stop the workflow for good.
    #[signal(name = "todo_acknowledged")]
    fn todo_acknowledged(&mut self, _ctx: &mut SyncWorkflowContext<Self>, payload: RawValue) {
        let parsed = payload
            .payloads
            .first()
            .and_then(|p| serde_json::from_slice::<Acknowledgement>(&p.data).ok())
            .filter(|found| found.event_id == self.input.event_id);
        if self.acknowledgement.is_none() {
            self.acknowledgement = parsed;
        }
    }

    /// An operator asks for another publish. Takes any payload, or none.
    #[signal(name = "republish")]
    fn republish(&mut self, _ctx: &mut SyncWorkflowContext<Self>, _reason: RawValue) {
        self.republish = true;
    }

    /// How far the registration is.
    #[query(name = "progress")]
    fn progress(&self, _ctx: &WorkflowContextView) -> Progress {
        self.progress_now()
    }
}

impl UserRegistration {
    fn progress_now(&self) -> Progress {
        Progress {
            stage: self.stage,
            publishes: self.publishes,
            overdue_checks: self.overdue_checks,
            todo_id: self.acknowledgement.as_ref().map(|found| found.todo_id),
        }
    }

    fn event(&self) -> EventRef {
        EventRef { event_id: self.input.event_id }
    }

    /// Doubles with every look that found nothing.
    fn patience(&self) -> Duration {
        let base = Duration::from_millis(self.input.overdue_ms.max(1));
        let doubled = base.saturating_mul(2_u32.saturating_pow(self.overdue_checks.min(20)));
        doubled.min(OVERDUE_CAP.max(base))
    }
}

async fn await_acknowledgement(ctx: &mut WorkflowContext<UserRegistration>) -> WorkflowResult<()> {
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
                ctx.state_mut(|s| s.overdue_checks += 1);
                enter(ctx, Stage::Stalled);
                publish_again(ctx).await?;
            }
        }
        continue_before_history_grows(ctx)?;
    }
}

async fn wait(ctx: &mut WorkflowContext<UserRegistration>) -> WorkflowResult<Woken> {
    let patience = ctx.state(UserRegistration::patience);
    describe_wait(ctx, patience);
    let token = ctx.cancellation_token().child_token();
    let overdue = TimerOptions::builder(patience)
        .summary("until the acknowledgement counts as overdue".to_owned())
        .cancellation_token(token.clone())
        .build();
    let woken = {
        let mut overdue = Box::pin(futures::FutureExt::fuse(ctx.timer(overdue)));
        let mut told = Box::pin(ctx.wait_condition(|s| s.acknowledgement.is_some() || s.republish));
        temporalio_workflow::select! {
            told = told => { told?; None }
            _ = overdue => Some(Woken::Overdue),
        }
    };
    token.cancel();
    Ok(match woken {
        Some(overdue) if ctx.state(|s| s.acknowledgement.is_none()) => overdue,
        _ if ctx.state(|s| s.acknowledgement.is_some()) => Woken::Acknowledged,
        _ => Woken::Republish,
    })
}

/// A signal that came meanwhile is handled first: the next run would not see it.
fn continue_before_history_grows(ctx: &WorkflowContext<UserRegistration>) -> WorkflowResult<()> {
    let grown = ctx.continue_as_new_suggested() || ctx.history_length() > HISTORY_EVENTS_MAX;
    let told = ctx.state(|s| s.acknowledgement.is_some() || s.republish);
    if grown && !told {
        let mut input = ctx.state(|s| s.input.clone());
        input.carried = Some(
            ctx.state(|s| Carried { publishes: s.publishes, overdue_checks: s.overdue_checks }),
        );
        ctx.continue_as_new(input, ContinueAsNewOptions::default())?;
    }
    Ok(())
}

async fn publish(ctx: &mut WorkflowContext<UserRegistration>) -> WorkflowResult<()> {
    ctx.set_current_details(
        "Publishing USER_REGISTERED to RabbitMQ; waits here until the broker confirms.",
    );
    let event = ctx.state(UserRegistration::event);
    let options = retried("publish USER_REGISTERED and await the broker's confirm");
    ctx.execute_activity(RegistrationActivities::publish_user_registered, event, options)
        .await
        .map_err(with_type)?;
    ctx.state_mut(|s| s.publishes += 1);
    Ok(())
}

/// Publishes again, unless the acknowledgement comes first: while the broker
/// is down a publish may take for ever, and an earlier one may have sufficed.
async fn publish_again(ctx: &mut WorkflowContext<UserRegistration>) -> WorkflowResult<()> {
    ctx.set_current_details(
        "Publishing USER_REGISTERED again; waits here until the broker confirms or the todo \
         service acknowledges.",
    );
    let event = ctx.state(UserRegistration::event);
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

async fn mark_sent(ctx: &mut WorkflowContext<UserRegistration>) -> WorkflowResult<()> {
    ctx.set_current_details("The broker has confirmed; marking the outbox row SENT.");
    let event = ctx.state(UserRegistration::event);
    let options = retried("mark the outbox row SENT");
    ctx.execute_activity(RegistrationActivities::mark_outbox_sent, event, options)
        .await
        .map_err(with_type)
}

async fn look_into_inbox(
    ctx: &mut WorkflowContext<UserRegistration>,
) -> WorkflowResult<Option<Acknowledgement>> {
    ctx.set_current_details("The acknowledgement is overdue; looking into the todo inbox.");
    let event = ctx.state(UserRegistration::event);
    let options = retried("look into the todo inbox for the overdue acknowledgement");
    ctx.execute_activity(RegistrationActivities::check_todo_acknowledgement, event, options)
        .await
        .map_err(with_type)
}

async fn record(ctx: &mut WorkflowContext<UserRegistration>) -> WorkflowResult<()> {
    ctx.set_current_details("The welcome todo exists; recording that on the outbox row.");
    let event = ctx.state(UserRegistration::event);
    let options = retried("record the acknowledgement on the outbox row");
    ctx.execute_activity(RegistrationActivities::record_acknowledgement, event, options)
        .await
        .map_err(with_type)
}

fn enter(ctx: &WorkflowContext<UserRegistration>, stage: Stage) {
    let before = ctx.state(|s| s.stage);
    if before == stage {
        return;
    }
    ctx.state_mut(|s| s.stage = stage);
    ctx.upsert_search_attributes([STAGE.value_set(stage.as_str().to_owned())]);
    if stage == Stage::Acknowledged {
        ctx.set_current_details("Done: the user has the welcome todo.");
    }
}

fn describe_wait(ctx: &WorkflowContext<UserRegistration>, patience: Duration) {
    let checks = ctx.state(|s| s.overdue_checks);
    let wait_s = patience.as_secs();
    ctx.set_current_details(match checks {
        0 => format!(
            "Waiting for the todo service to acknowledge the welcome task; overdue after {wait_s} s."
        ),
        n => format!(
            "STALLED: no acknowledgement after {n} look(s) into the inbox; the event was \
             published again. Is the todo service up? Next look in {wait_s} s."
        ),
    });
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
