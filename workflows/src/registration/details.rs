//! What an operator reads in the web UI while a registration waits: one
//! sentence that says for what, and since when.
//!
//! The details are no command: a new wording changes no history. All times are
//! the workflow's own, so that a replay says the same.

use std::fmt::Display;
use std::time::{Duration, SystemTime};

use temporalio_workflow::WorkflowContext;

use super::UserRegistration;

/// A step begins now and may take long.
pub(super) fn waiting_for(ctx: &WorkflowContext<UserRegistration>, what: impl Display) {
    ctx.set_current_details(format!("Waiting since {} for {what}.", at(ctx.workflow_time())));
}

/// The wait for the acknowledgement goes on; the inbox is looked into after
/// `patience`.
pub(super) fn waiting_for_acknowledgement(
    ctx: &WorkflowContext<UserRegistration>,
    patience: Duration,
) {
    let next = at(ctx.workflow_time().and_then(|now| now.checked_add(patience)));
    let (since, checks, publishes) =
        ctx.state(|s| (at(s.awaited_since), s.overdue_checks, s.publishes));
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

/// The end, good or bad.
pub(super) fn ended(ctx: &WorkflowContext<UserRegistration>, how: &str, what: impl Display) {
    ctx.set_current_details(format!("{how} at {}: {what}.", at(ctx.workflow_time())));
}

fn at(time: Option<SystemTime>) -> String {
    time.map_or_else(
        || "an unknown time".to_owned(),
        |time| humantime::format_rfc3339_seconds(time).to_string(),
    )
}
