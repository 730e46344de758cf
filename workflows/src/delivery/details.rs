//! What an operator reads in the web UI while a registration waits: one
//! sentence that says for what, and since when.
//!
//! The details are no command: a new wording changes no history. All times are
//! the workflow's own, so that a replay says the same.

use std::fmt::Display;
use std::time::{Duration, SystemTime};

use onboard_contract::ConsumerName;
use temporalio_workflow::WorkflowContext;

use super::state::Delivering;

/// A step begins now and may take long.
pub(crate) fn waiting_for<W>(ctx: &WorkflowContext<W>, what: impl Display) {
    ctx.set_current_details(format!("Waiting since {} for {what}.", at(ctx.workflow_time())));
}

/// The wait for the acknowledgement goes on; the inbox is looked into after
/// `patience`.
pub(crate) fn waiting_for_acknowledgement<W: Delivering>(
    ctx: &WorkflowContext<W>,
    patience: Duration,
) {
    let next = at(ctx.workflow_time().and_then(|now| now.checked_add(patience)));
    let (since, checks, publishes) =
        super::of(ctx, |s| (at(s.awaited_since), s.overdue_checks, s.publishes));
    ctx.set_current_details(match checks {
        0 => format!(
            "Waiting since {since} for the todo service to acknowledge the welcome task; \
             overdue at {next}."
        ),
        n => format!(
            "STALLED: waiting since {since} for the todo service to acknowledge the welcome task; \
             publishes so far {publishes}, looks into the inbox {n}, the next one at {next}."
        ),
    });
}

/// The delivery awaits consumers, which are named.
pub(crate) fn waiting_for_consumers<W: Delivering>(ctx: &WorkflowContext<W>) {
    let now = ctx.workflow_time();
    let (awaited, since, checks, publishes) = super::of(ctx, |s| {
        let awaited: Vec<&str> = s.awaited().map(ConsumerName::as_str).collect();
        (awaited.join(", "), at(s.awaited_since.or(now)), s.overdue_checks, s.publishes)
    });
    let asked = super::of(ctx, |s| {
        let asked = s.recipients.iter().filter(|one| one.asking && one.end.is_none());
        let asked =
            asked.filter_map(|one| Some(format!("{} on {}", one.consumer, one.ask.as_ref()?)));
        asked.collect::<Vec<_>>().join(", ")
    });
    let asked = if asked.is_empty() {
        asked
    } else {
        format!(" Asked whether the event is processed, on a task queue in Temporal: {asked}.")
    };
    if awaited.is_empty() {
        return;
    }
    let overdue = super::of(ctx, |s| {
        let waits = s.recipients.iter().filter(|one| one.end.is_none() && !one.asking);
        waits.filter_map(|one| one.overdue_at).min()
    });
    let overdue = |words: &str| match overdue {
        Some(time) => format!("{words} {}", at(Some(time))),
        None => String::new(),
    };
    ctx.set_current_details(match checks {
        0 => format!(
            "Waiting since {since} for these consumers to acknowledge: {awaited}{}.",
            overdue("; overdue at")
        ),
        n => format!(
            "STALLED: waiting since {since} for these consumers to acknowledge: {awaited}; \
             publishes so far {publishes}, acknowledgements found overdue {n}{}.{asked}",
            overdue(", the next one at")
        ),
    });
}

/// The end, good or bad.
pub(crate) fn ended<W>(ctx: &WorkflowContext<W>, how: &str, what: impl Display) {
    ctx.set_current_details(format!("{how} at {}: {what}.", at(ctx.workflow_time())));
}

fn at(time: Option<SystemTime>) -> String {
    time.map_or_else(
        || "an unknown time".to_owned(),
        |time| humantime::format_rfc3339_seconds(time).to_string(),
    )
}
