//! What must hold of the workflow, given what the row says.

use onboard_contract::Stage;
use onboard_temporal::ExecutionStatus;

use super::Finding;
use crate::Row;
use crate::audit::Kind;
use crate::case::{Case, Looked, WorkflowRun};
use crate::redrive::Act;

pub(super) fn stands_as_the_row_says(case: &Case, found: &mut Vec<Finding>) {
    match &case.workflow {
        Looked::NotAsked => (),
        Looked::Missing => found.push(missing(case)),
        Looked::Found(run) => found.extend(ran(case, run)),
    }
}

fn missing(case: &Case) -> Finding {
    let acknowledged = case.acknowledged_at();
    if acknowledged.is_some_and(|done| done < case.removed.workflows_before_ms) {
        return Finding::note("Temporal no longer remembers the workflow");
    }
    let stage = case.row.as_ref().map(|row| row.stage);
    if stage == Some(Stage::Pending) {
        let words = "no workflow: the relay has not started it";
        return Finding::missing(words).healed_by(Act::Release);
    }
    let finding = Finding::missing("no workflow: Temporal does not know it")
        .with_reason("its workflow is lost")
        .counted(Kind::WorkflowMissing, "the row was started and Temporal knows no workflow");
    // Temporal forgets what has ended; the row does not.
    if acknowledged.is_some() { finding } else { finding.healed_by(Act::Restart) }
}

fn ran(case: &Case, run: &WorkflowRun) -> Option<Finding> {
    match run.status {
        ExecutionStatus::Running => Some(running(case, run)),
        ExecutionStatus::Completed if case.is_unacknowledged() => Some(completed(case)),
        ExecutionStatus::Completed => None,
        ExecutionStatus::Failed => {
            Some(ended(run, Kind::WorkflowFailed, "its workflow has failed"))
        }
        ExecutionStatus::Terminated => {
            Some(ended(run, Kind::WorkflowTerminated, "its workflow was terminated"))
        }
        ExecutionStatus::TimedOut => {
            Some(ended(run, Kind::WorkflowTimedOut, "its workflow has timed out"))
        }
        ExecutionStatus::Cancelled => {
            Some(ended(run, Kind::WorkflowCanceled, "its workflow was canceled"))
        }
    }
}

fn running(case: &Case, run: &WorkflowRun) -> Finding {
    let last_failure = run.pending.as_ref().and_then(|activity| activity.last_failure.as_ref());
    let failure = last_failure.map(|(word, message)| format!("{word}: {message}"));
    let at = match (&run.pending, &failure) {
        (Some(activity), Some(failure)) => {
            format!("at try {} of {} ({failure})", activity.attempt, activity.activity)
        }
        (Some(activity), None) => format!("in {}", activity.activity),
        (None, _) => format!("waiting for {}", case.awaited()),
    };
    let finding = Finding {
        reason: failure,
        ..Finding::missing(format!("no end of the workflow: it is {at}"))
    };
    let settled = case.acknowledged_at().zip(case.settled_until_ms);
    let finding = finding.healed_by(Act::Republish);
    if settled.is_some_and(|(done, until)| done <= until) {
        let words = "the row is acknowledged and its workflow runs";
        return finding.counted(Kind::WorkflowStillOpen, words);
    }
    finding
}

/// It has completed, and the row does not say so.
fn completed(case: &Case) -> Finding {
    let words = "no run: the workflow has completed, and the row awaits a consumer; the relay \
                 starts it again";
    let missing = case.expects_more().then_some(words.into());
    // It awaits a consumer that its run did not know of.
    let forgotten = case.row.as_ref().is_some_and(Row::is_forgotten);
    let remedy = forgotten.then_some(Act::Restart);
    let finding = Finding { missing, remedy, ..Finding::default() };
    finding.with_reason("its workflow is COMPLETED")
}

fn ended(run: &WorkflowRun, kind: Kind, words: &'static str) -> Finding {
    let status = run.status.as_str();
    let failure = run.failure.as_ref().map(|(word, message)| format!(" ({word}: {message})"));
    let failure = failure.unwrap_or_default();
    Finding::missing(format!("no success of the workflow: it has ended as {status}{failure}"))
        .with_reason(format!("its workflow is {status}"))
        .counted(kind, words)
        .healed_by(Act::Restart)
}

pub(super) fn has_a_confirm(case: &Case, found: &mut Vec<Finding>) {
    // A run for consumers of a row that is SENT may get its acknowledgements first.
    let may_have_none = case.expects_more() && case.row.as_ref().is_some_and(|row| row.sent);
    let none = case.confirmed.is_missing() || case.confirmed == Looked::Found(0);
    if none && !may_have_none {
        found.push(Finding::missing("no confirm: the broker has confirmed no publish"));
    }
}
