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

mod details;
mod steps;
mod wait;

use std::time::{Duration, SystemTime};

use onboard_contract::names::{ATTRIBUTE_STAGE, WORKFLOW};
use onboard_contract::workflow::Carried;
use onboard_contract::{Acknowledgement, Progress, RegistrationInput, Stage};
use temporalio_common::data_converters::RawValue;
use temporalio_common::search_attributes::SearchAttributeKey;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_workflow::{
    ContinueAsNewOptions, SyncWorkflowContext, WorkflowContext, WorkflowContextView, WorkflowResult,
};

use self::details::ended;
use self::steps::{look_into_inbox, mark_sent, publish, publish_again, record};
use self::wait::{Woken, wait};

const STAGE: SearchAttributeKey<String> = SearchAttributeKey::keyword(ATTRIBUTE_STAGE);

/// Far below the server's warning at 10,240 events.
const HISTORY_EVENTS_MAX: u32 = 2_000;

/// The state of one registration.
#[workflow]
#[derive(Debug)]
pub struct UserRegistration {
    input: RegistrationInput,
    stage: Stage,
    /// What the search attribute says.
    shown: Stage,
    publishes: u32,
    overdue_checks: u32,
    acknowledgement: Option<Acknowledgement>,
    republish: bool,
    /// Since when the acknowledgement is waited for, for the reader.
    awaited_since: Option<SystemTime>,
}

#[workflow_methods]
impl UserRegistration {
    #[init]
    fn new(_ctx: &WorkflowContextView, input: RegistrationInput) -> Self {
        let carried = input.carried.clone();
        let stage = carried.as_ref().map_or(Stage::Started, |c| c.stage);
        Self {
            stage,
            shown: stage,
            publishes: carried.as_ref().map_or(0, |c| c.publishes),
            overdue_checks: carried.as_ref().map_or(0, |c| c.overdue_checks),
            acknowledgement: None,
            republish: false,
            awaited_since: carried.and_then(|c| c.awaited_since_ms).and_then(time_of),
            input,
        }
    }

    #[run(name = WORKFLOW)]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Progress> {
        if ctx.state(|s| s.input.carried.is_none()) {
            publish(ctx).await?;
            mark_sent(ctx).await?;
            enter_sent(ctx);
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

/// A signal that came meanwhile is handled first: the next run would not see it.
fn continue_before_history_grows(ctx: &WorkflowContext<UserRegistration>) -> WorkflowResult<()> {
    let grown = ctx.continue_as_new_suggested() || ctx.history_length() > HISTORY_EVENTS_MAX;
    let told = ctx.state(|s| s.acknowledgement.is_some() || s.republish);
    if grown && !told {
        let mut input = ctx.state(|s| s.input.clone());
        input.carried = Some(ctx.state(|s| Carried {
            stage: s.stage,
            publishes: s.publishes,
            overdue_checks: s.overdue_checks,
            awaited_since_ms: s.awaited_since.and_then(ms_of),
        }));
        ctx.continue_as_new(input, ContinueAsNewOptions::default())?;
    }
    Ok(())
}

/// An acknowledgement that is there already is recorded in the same workflow
/// task: nobody could see SENT in between, so the upsert is left out.
fn enter_sent(ctx: &WorkflowContext<UserRegistration>) {
    let now = ctx.workflow_time();
    ctx.state_mut(|s| {
        s.stage = Stage::Sent;
        s.awaited_since = now;
    });
    if ctx.state(|s| s.acknowledgement.is_none()) {
        show(ctx);
    }
}

fn enter(ctx: &WorkflowContext<UserRegistration>, stage: Stage) {
    ctx.state_mut(|s| s.stage = stage);
    show(ctx);
    if stage == Stage::Acknowledged {
        ended(ctx, "Done", "the user has the welcome task");
    }
}

/// Brings the search attribute up to date: a write of its own on the server.
fn show(ctx: &WorkflowContext<UserRegistration>) {
    let (stage, shown) = ctx.state(|s| (s.stage, s.shown));
    if stage != shown {
        ctx.state_mut(|s| s.shown = stage);
        ctx.upsert_search_attributes([STAGE.value_set(stage.as_str().to_owned())]);
    }
}

fn ms_of(time: SystemTime) -> Option<u64> {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    u64::try_from(since_epoch.as_millis()).ok()
}

fn time_of(ms: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms))
}
