//! The delivery of one event to its consumers: publish, mark SENT, await each
//! consumer and record what it acknowledges.
//!
//! The first publish goes through the exchange. When the broker refuses that,
//! and for every repeat, a copy goes straight to the queue of each consumer
//! that has not acknowledged, so a full queue holds up no other consumer, and a
//! consumer that is done gets nothing more. The consumers are awaited side by
//! side (`consumer`); a crash of the worker is replayed from the history.
//!
//! Any workflow may use it: it keeps a [`State`] and is [`Delivering`].

pub(crate) mod consumer;
pub(crate) mod details;
pub(crate) mod patience;
pub(crate) mod recipient;
pub(crate) mod state;
pub(crate) mod steps;

use onboard_contract::Stage;
use onboard_contract::names::ATTRIBUTE_STAGE;
use onboard_contract::workflow::Published;
use temporalio_common::search_attributes::SearchAttributeKey;
use temporalio_workflow::{TimerOptions, WorkflowContext, WorkflowResult, join, join_all};

use self::consumer::deliver_to;
use self::details::ended;
use self::recipient::Recipient;
use self::state::{Delivering, Leave, State};
use self::steps::{before, mark_sent, publish_event};

const STAGE: SearchAttributeKey<String> = SearchAttributeKey::keyword(ATTRIBUTE_STAGE);

/// Far below the server's warning at 10,240 events.
const HISTORY_EVENTS_MAX: u32 = 2_000;

/// Delivers to all recipients.
pub(crate) async fn deliver<W: Delivering>(ctx: &WorkflowContext<W>) -> WorkflowResult<()> {
    let published_before = of(ctx, |s| s.carried || s.direct);
    if !published_before && publish_event(ctx).await? == Published::Confirmed {
        edit(ctx, |s| {
            s.publishes += 1;
            s.recipients.iter_mut().for_each(|one| one.in_queue = true);
        });
        mark_sent(ctx).await?;
        enter_sent(ctx);
        edit(ctx, |s| s.first_moment = true);
    }
    loop {
        let consumers = of(ctx, State::not_done);
        let each = join_all(consumers.iter().map(|to| deliver_to(ctx, to)));
        let sent = mark_sent_when_in_every_queue(ctx);
        let (sent, shown, delivered) = join!(sent, show_sent_when_it_lasts(ctx), each);
        delivered.into_iter().try_for_each(|one| one)?;
        sent.and(shown)?;
        if of(ctx, |s| s.recipients.iter().all(|one| one.done)) {
            return Ok(());
        }
        if of(ctx, |s| s.leave == Leave::Grown && s.nothing_new()) {
            return W::carry_on(ctx, of(ctx, State::carry));
        }
        // A signal came meanwhile: the next run would not see it.
        edit(ctx, |s| s.leave = Leave::No);
    }
}

/// When the exchange did not take the event, the row is SENT once every queue
/// has its copy, or its consumer is done.
async fn mark_sent_when_in_every_queue<W: Delivering>(
    ctx: &WorkflowContext<W>,
) -> WorkflowResult<()> {
    if of(ctx, |s| s.awaited_since.is_some()) {
        return Ok(());
    }
    let in_queue = |one: &Recipient| one.in_queue || one.done;
    ctx.wait_condition(|w| {
        let s = w.delivery();
        s.leave != Leave::No || s.recipients.iter().all(in_queue)
    })
    .await?;
    let needless = |s: &State| s.leave != Leave::No || s.recipients.iter().all(|one| one.done);
    if !of(ctx, needless) {
        mark_sent(ctx).await?;
        enter_sent(ctx);
        show(ctx);
    }
    Ok(())
}

/// The first moment of the wait, with one timer for all consumers: most acknowledge
/// at once, and then nobody could have seen SENT. It is shown when one has not.
async fn show_sent_when_it_lasts<W: Delivering>(ctx: &WorkflowContext<W>) -> WorkflowResult<()> {
    let over = |s: &State| s.leave != Leave::No || s.awaited().next().is_none();
    if !of(ctx, |s| s.first_moment) || of(ctx, over) {
        return Ok(());
    }
    let moment = of(ctx, State::moment);
    let timer = TimerOptions::builder(moment).summary("until SENT is shown".to_owned()).build();
    // The timer goes with the workflow.
    before(ctx, |w: &W| over(w.delivery()), ctx.timer(timer)).await?;
    edit(ctx, |s| s.first_moment = false);
    if of(ctx, |s| s.awaited().next().is_some()) {
        show(ctx);
    }
    Ok(())
}

/// The row is SENT, and the acknowledgements are waited for from now on.
pub(crate) fn enter_sent<W: Delivering>(ctx: &WorkflowContext<W>) {
    let now = ctx.workflow_time();
    edit(ctx, |s| {
        s.stage = Stage::Sent;
        s.awaited_since = now;
    });
}

pub(crate) fn enter<W: Delivering>(ctx: &WorkflowContext<W>, stage: Stage) {
    edit(ctx, |s| s.stage = stage);
    show(ctx);
    if stage == Stage::Acknowledged {
        ended(ctx, "Done", "every expected consumer has acknowledged");
    }
}

/// Brings the search attribute up to date: a write of its own on the server.
pub(crate) fn show<W: Delivering>(ctx: &WorkflowContext<W>) {
    let (stage, shown) = of(ctx, |s| (s.stage, s.shown));
    if stage != shown {
        edit(ctx, |s| s.shown = stage);
        ctx.upsert_search_attributes([STAGE.value_set(stage.as_str().to_owned())]);
    }
}

pub(crate) fn has_grown<W>(ctx: &WorkflowContext<W>) -> bool {
    ctx.continue_as_new_suggested() || ctx.history_length() > HISTORY_EVENTS_MAX
}

/// Reads the state of the delivery.
pub(crate) fn of<W: Delivering, T>(ctx: &WorkflowContext<W>, read: impl FnOnce(&State) -> T) -> T {
    ctx.state(|workflow| read(workflow.delivery()))
}

/// Changes the state of the delivery.
pub(crate) fn edit<W: Delivering>(ctx: &WorkflowContext<W>, edit: impl FnOnce(&mut State)) {
    ctx.state_mut(|workflow| edit(workflow.delivery_mut()));
}
