//! The delivery to one consumer: its copy, the wait for its acknowledgement, and
//! the record of it. Several run side by side in one workflow; none of them
//! survives the worker, and all are replayed from the history.

use onboard_contract::workflow::Published;
use onboard_contract::{ConsumerName, Stage};
use temporalio_workflow::{TimerOptions, WorkflowContext, WorkflowResult};

use super::details::waiting_for_consumers;
use super::recipient::{End, Recipient};
use super::state::{Delivering, Leave, State};
use super::steps::{ask, before, publish_copy, record};
use super::{enter, has_grown};

/// What ended a wait for one consumer.
enum Woken {
    Ended,
    Republish,
    Overdue,
    Left,
}

/// Delivers to one consumer. A failure for good ends the waits of the others.
pub(super) async fn deliver_to<W: Delivering>(
    ctx: &WorkflowContext<W>,
    to: &ConsumerName,
) -> WorkflowResult<()> {
    let delivered = until_done(ctx, to).await;
    if delivered.is_err() {
        super::edit(ctx, |s| s.leave = Leave::Failed);
    }
    delivered
}

async fn until_done<W: Delivering>(
    ctx: &WorkflowContext<W>,
    to: &ConsumerName,
) -> WorkflowResult<()> {
    if !super::of(ctx, |s| of(s, to, |r| r.in_queue)) {
        copy(ctx, to, false).await?;
    }
    loop {
        match wait(ctx, to).await? {
            Woken::Ended => break,
            Woken::Left => return Ok(()),
            Woken::Republish => {
                let now = ctx.workflow_time();
                let again = super::of(ctx, |s| of(s, to, |r| r.was_copied(now)));
                copy(ctx, to, again).await?;
            }
            Woken::Overdue => overdue(ctx, to).await?,
        }
        if has_grown(ctx) {
            super::edit(ctx, |s| s.leave = Leave::Grown);
        }
    }
    if let Some(End::Acknowledged(reference)) = super::of(ctx, |s| of(s, to, |r| r.end.clone())) {
        record(ctx, to.clone(), reference).await?;
    }
    edit(ctx, to, |r| r.done = true);
    waiting_for_consumers(ctx);
    Ok(())
}

async fn wait<W: Delivering>(ctx: &WorkflowContext<W>, to: &ConsumerName) -> WorkflowResult<Woken> {
    if let Some(woken) = super::of(ctx, |s| woken(s, to)) {
        return Ok(seen(ctx, to, woken));
    }
    let mut patience = super::of(ctx, |s| of(s, to, |r| r.patience(s.overdue(), s.event_id)));
    let overdue_at = ctx.workflow_time().and_then(|now| now.checked_add(patience));
    edit(ctx, to, |r| r.overdue_at = overdue_at);
    waiting_for_consumers(ctx);
    if super::of(ctx, |s| s.first_moment) {
        let or_over = |s: &State| !s.first_moment || woken(s, to).is_some();
        ctx.wait_condition(|w| or_over(w.delivery())).await?;
        if let Some(woken) = super::of(ctx, |s| woken(s, to)) {
            return Ok(seen(ctx, to, woken));
        }
        patience -= super::of(ctx, State::moment);
    }
    let token = ctx.cancellation_token().child_token();
    let overdue = TimerOptions::builder(patience)
        .summary(format!("until the acknowledgement of {to} counts as overdue"))
        .cancellation_token(token.clone())
        .build();
    let is_woken = |w: &W| woken(w.delivery(), to).is_some();
    let is_overdue = before(ctx, is_woken, ctx.timer(overdue)).await?.is_some();
    let woken = super::of(ctx, |s| woken(s, to));
    // The last timer goes with the workflow; to cancel it is one event more.
    if !is_overdue && !super::of(ctx, |s| s.recipients.iter().all(|one| one.end.is_some())) {
        token.cancel();
    }
    Ok(woken.map_or(Woken::Overdue, |woken| seen(ctx, to, woken)))
}

/// Notes that the consumer's wait has seen the request to publish again.
fn seen<W: Delivering>(ctx: &WorkflowContext<W>, to: &ConsumerName, woken: Woken) -> Woken {
    if matches!(woken, Woken::Republish) {
        let republishes = super::of(ctx, |s| s.republishes);
        edit(ctx, to, |r| r.republishes = republishes);
    }
    woken
}

/// Publishes a copy for one consumer, unless its acknowledgement comes first:
/// while its queue is full that may take for ever. What the end of this run cuts
/// off, the next run does.
async fn copy<W: Delivering>(
    ctx: &WorkflowContext<W>,
    to: &ConsumerName,
    only_if_empty: bool,
) -> WorkflowResult<()> {
    let over = |s: &State| s.leave != Leave::No || of(s, to, |r| r.end.is_some());
    let published = if super::of(ctx, over) {
        None
    } else {
        waiting_for_consumers(ctx);
        publish_copy(ctx, to, only_if_empty, over).await?
    };
    if published == Some(Published::Confirmed) {
        let now = ctx.workflow_time();
        super::edit(ctx, |s| s.publishes += 1);
        edit(ctx, to, |r| r.copied_at = now);
    }
    edit(ctx, to, |r| r.in_queue = published.is_some() || only_if_empty);
    Ok(())
}

/// Shows that the acknowledgement is overdue, asks the consumer whether it has
/// processed the event, and publishes a copy when it has not. After the first time, and
/// for a consumer that answers no question, a copy goes only into an empty queue: else
/// the event is most likely among the messages that wait there.
async fn overdue<W: Delivering>(ctx: &WorkflowContext<W>, to: &ConsumerName) -> WorkflowResult<()> {
    super::edit(ctx, |s| s.overdue_checks += 1);
    edit(ctx, to, |r| r.overdue_checks += 1);
    enter(ctx, Stage::Stalled);
    let (task_queue, again) =
        super::of(ctx, |s| of(s, to, |r| (r.ask.clone(), r.overdue_checks > 1)));
    let Some(task_queue) = task_queue else {
        waiting_for_consumers(ctx);
        return copy(ctx, to, true).await;
    };
    edit(ctx, to, |r| r.asking = true);
    waiting_for_consumers(ctx);
    let answer = ask(ctx, to, task_queue, |s| woken(s, to).is_some()).await?;
    edit(ctx, to, |r| r.asking = false);
    // A signal came first.
    let Some(answer) = answer else { return Ok(()) };
    super::edit(ctx, |s| {
        let found = answer.filter(|it| it.event_id == s.event_id && it.consumer == *to);
        if let Some(found) = found {
            s.end(to, End::Acknowledged(found.reference));
        }
    });
    if super::of(ctx, |s| woken(s, to)).is_some() { Ok(()) } else { copy(ctx, to, again).await }
}

/// What the consumer's wait has to react to.
fn woken(s: &State, to: &ConsumerName) -> Option<Woken> {
    let (ended, republishes) = of(s, to, |r| (r.end.is_some(), r.republishes));
    if ended {
        Some(Woken::Ended)
    } else if s.leave != Leave::No {
        Some(Woken::Left)
    } else {
        (republishes < s.republishes).then_some(Woken::Republish)
    }
}

/// Reads what is known of a consumer.
fn of<T: Default>(s: &State, to: &ConsumerName, read: impl FnOnce(&Recipient) -> T) -> T {
    s.recipients.iter().find(|one| one.consumer == *to).map(read).unwrap_or_default()
}

fn edit<W: Delivering>(
    ctx: &WorkflowContext<W>,
    to: &ConsumerName,
    edit: impl FnOnce(&mut Recipient),
) {
    super::edit(ctx, |s| {
        if let Some(one) = s.recipients.iter_mut().find(|one| one.consumer == *to) {
            edit(one);
        }
    });
}
