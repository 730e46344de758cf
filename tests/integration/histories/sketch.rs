//! The workflow once more in little, so that it can be changed: the same type,
//! the same commands in the same order, and one change at a time. What it
//! leaves out (retries, failures, a publish that is cancelled) no changed order
//! depends on.

#![allow(unreachable_pub, reason = "the macro declares public handles")]

use std::time::Duration;

use onboard_contract::names::ATTRIBUTE_STAGE;
use onboard_contract::workflow::EventRef;
use onboard_events::RegistrationInput;
use onboard_events::registration::WORKFLOW;
use onboard_workflows::activities::RegistrationActivities;
use temporalio_common::data_converters::RawValue;
use temporalio_common::search_attributes::SearchAttributeKey;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_workflow::{
    ActivityOptions, ContinueAsNewOptions, LocalActivityOptions, SyncWorkflowContext, TimerOptions,
    WorkflowContext, WorkflowResult,
};

/// The name of the change as histories record it.
pub(super) const PATCH: &str = "mark-before-publish";
const STAGE: SearchAttributeKey<String> = SearchAttributeKey::keyword(ATTRIBUTE_STAGE);

/// What is different from the workflow.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    #[default]
    Nothing,
    /// The row is marked before the event is published.
    MarkFirst,
    /// The stage SENT is not shown.
    NoSentStage,
    /// The wait has no timer.
    NoTimer,
    /// An overdue event is published again without a look into the inbox.
    NoLook,
    /// The end is not recorded on the row.
    NoRecord,
    /// `MarkFirst`, patched in: runs that published first go on as they began.
    Patched,
    /// `MarkFirst` once no run without the patch is open.
    Deprecated,
}

impl Change {
    pub(super) const BREAKING: [Self; 5] =
        [Self::MarkFirst, Self::NoSentStage, Self::NoTimer, Self::NoLook, Self::NoRecord];

    /// Whether a history has the step that is changed.
    pub(super) fn touches(self, steps: &[String]) -> bool {
        let has = |step: &str| steps.iter().any(|seen| seen == step);
        match self {
            Self::MarkFirst => has("mark"),
            // With the acknowledgement there already it is not shown at all.
            Self::NoSentStage => has("mark") && has("timer"),
            Self::NoTimer => has("timer"),
            Self::NoLook => has("look"),
            Self::NoRecord => has("record"),
            Self::Nothing | Self::Patched | Self::Deprecated => false,
        }
    }
}

#[workflow]
#[derive(Debug, Default)]
pub struct Sketch {
    change: Change,
    acknowledged: bool,
    republish: bool,
    stalled: bool,
}

impl Sketch {
    pub(super) fn with(change: Change) -> Self {
        Self { change, ..Self::default() }
    }
}

#[workflow_methods]
impl Sketch {
    #[run(name = WORKFLOW)]
    pub async fn run(
        ctx: &mut WorkflowContext<Self>,
        input: RegistrationInput,
    ) -> WorkflowResult<()> {
        let event = EventRef { event_id: input.event_id, traceparent: None };
        if let Some(carried) = &input.carried {
            let stalled = carried.overdue_checks > 0;
            ctx.state_mut(|s| s.stalled = stalled);
        } else {
            send(ctx, &event).await?;
        }
        while !ctx.state(|s| s.acknowledged) {
            wait(ctx).await?;
            if ctx.state(|s| s.acknowledged) || goes_on(ctx, &event).await? {
                break;
            }
            if ctx.continue_as_new_suggested() && !ctx.state(|s| s.acknowledged || s.republish) {
                ctx.continue_as_new(input.clone(), ContinueAsNewOptions::default())?;
            }
        }
        if !is(ctx, Change::NoRecord) {
            let record = RegistrationActivities::record_acknowledgement;
            ctx.execute_local_activity(record, event, local()).await?;
        }
        show(ctx, "ACKNOWLEDGED");
        Ok(())
    }

    #[signal(name = "todo_acknowledged")]
    fn todo_acknowledged(&mut self, _ctx: &mut SyncWorkflowContext<Self>, _payload: RawValue) {
        self.acknowledged = true;
    }

    #[signal(name = "republish")]
    fn republish(&mut self, _ctx: &mut SyncWorkflowContext<Self>, _reason: RawValue) {
        self.republish = true;
    }
}

/// Publish and mark, in the order that the change asks for.
async fn send(ctx: &mut WorkflowContext<Sketch>, event: &EventRef) -> WorkflowResult<()> {
    let mark_first = match ctx.state(|s| s.change) {
        Change::MarkFirst => true,
        Change::Patched => ctx.patched(PATCH),
        Change::Deprecated => {
            ctx.deprecate_patch(PATCH);
            true
        }
        _ => false,
    };
    let mark = RegistrationActivities::mark_outbox_sent;
    if mark_first {
        ctx.execute_local_activity(mark, event.clone(), local()).await?;
        publish(ctx, event).await?;
    } else {
        publish(ctx, event).await?;
        ctx.execute_local_activity(mark, event.clone(), local()).await?;
    }
    if !ctx.state(|s| s.acknowledged) && !is(ctx, Change::NoSentStage) {
        show(ctx, "SENT");
    }
    Ok(())
}

async fn wait(ctx: &mut WorkflowContext<Sketch>) -> WorkflowResult<()> {
    if is(ctx, Change::NoTimer) {
        return ctx.wait_condition(|s| s.acknowledged || s.republish).await.map_err(Into::into);
    }
    let token = ctx.cancellation_token().child_token();
    let overdue =
        TimerOptions::builder(Duration::from_secs(1)).cancellation_token(token.clone()).build();
    {
        let mut overdue = Box::pin(futures::FutureExt::fuse(ctx.timer(overdue)));
        let mut told = Box::pin(ctx.wait_condition(|s| s.acknowledged || s.republish));
        temporalio_workflow::select! {
            told = told => { told?; }
            _ = overdue => (),
        }
    }
    if !ctx.state(|s| s.acknowledged) {
        token.cancel();
    }
    Ok(())
}

/// What a wait without an acknowledgement leads to; true when the inbox has it.
async fn goes_on(ctx: &mut WorkflowContext<Sketch>, event: &EventRef) -> WorkflowResult<bool> {
    if !ctx.state_mut(|s| std::mem::take(&mut s.republish)) {
        if !is(ctx, Change::NoLook) {
            let look = RegistrationActivities::check_todo_acknowledgement;
            if ctx.execute_activity(look, event.clone(), remote()).await?.is_some() {
                return Ok(true);
            }
        }
        if !ctx.state_mut(|s| std::mem::replace(&mut s.stalled, true)) {
            show(ctx, "STALLED");
        }
    }
    publish(ctx, event).await?;
    Ok(false)
}

async fn publish(ctx: &mut WorkflowContext<Sketch>, event: &EventRef) -> WorkflowResult<()> {
    let publish = RegistrationActivities::publish_user_registered;
    ctx.execute_activity(publish, event.clone(), remote()).await?;
    Ok(())
}

fn show(ctx: &WorkflowContext<Sketch>, stage: &str) {
    ctx.upsert_search_attributes([STAGE.value_set(stage.to_owned())]);
}

fn is(ctx: &WorkflowContext<Sketch>, change: Change) -> bool {
    ctx.state(|s| s.change == change)
}

fn remote() -> ActivityOptions {
    ActivityOptions::with_start_to_close_timeout(Duration::from_secs(15)).build()
}

fn local() -> LocalActivityOptions {
    LocalActivityOptions::builder().start_to_close_timeout(Duration::from_secs(1)).build()
}
