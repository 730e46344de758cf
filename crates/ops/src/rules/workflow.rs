//! What must hold of the workflow, given what the row says.

use onboard_contract::Stage;
use onboard_contract::names::ACTIVITY_FIND_ACKNOWLEDGEMENT;
use onboard_temporal::{Answering, ExecutionStatus, PendingActivity};

use super::{Finding, held, inbox};
use crate::audit::Kind;
use crate::case::{Case, Looked, WorkflowRun};
use crate::redrive::Act;
use crate::times;

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
    if acknowledged.is_some() && inbox::proves_delivery(case) {
        return Finding::note(
            "Temporal has no workflow of it any more: somebody has deleted it, or the namespace \
             has kept it for less long; everything else shows that the event was delivered",
        )
        .audited();
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
        ExecutionStatus::Failed => Some(failed(run)),
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
    let finding = held::find(case, run).unwrap_or_else(|| waits(case, run));
    let settled = case.acknowledged_at().zip(case.settled_until_ms);
    if settled.is_some_and(|(done, until)| done <= until) {
        let words = "the row is acknowledged and its workflow runs";
        return finding.counted(Kind::WorkflowStillOpen, words);
    }
    finding
}

/// It goes on by itself when what it waits for is there.
fn waits(case: &Case, run: &WorkflowRun) -> Finding {
    let described = run.described.as_ref();
    let pending = described.and_then(|run| run.pending.as_ref());
    let last_failure = pending.and_then(|activity| activity.last_failure.as_ref());
    let failure = last_failure.map(|(word, message)| format!("{word}: {message}"));
    let no_worker = described.and_then(|run| run.task).is_some_and(|task| !task.taken);
    let at = match (pending, &failure) {
        (Some(activity), Some(failure)) => {
            format!("at try {} of {} ({failure})", activity.attempt, activity.activity)
        }
        (Some(activity), None) if activity.activity == ACTIVITY_FIND_ACKNOWLEDGEMENT => {
            asking(case, run, activity)
        }
        (Some(activity), None) => format!("in {}", activity.activity),
        (None, _) if no_worker => "waiting for a worker".to_owned(),
        (None, _) => format!("waiting for {}", case.awaited()),
    };
    let reason = failure.or_else(|| no_worker.then(|| "waits for a worker".to_owned()));
    let finding = Finding::missing(format!("no end of the workflow: it is {at}"));
    Finding { reason, ..finding.healed_by(Act::Republish) }
}

/// It asks a consumer, which answers on a task queue of its own.
fn asking(case: &Case, run: &WorkflowRun, question: &PendingActivity) -> String {
    let since = question.since_ms.map(|ms| format!(" since {}", times::rfc3339(ms)));
    let asked = format!("asking {}{}", case.awaited(), since.unwrap_or_default());
    let queue = |one: &Answering| match one.pollers {
        0 => format!("nobody polls its task queue {}", one.task_queue),
        pollers => format!("{pollers} poll its task queue {}", one.task_queue),
    };
    let queues: Vec<String> = run.answering.iter().map(queue).collect();
    if queues.is_empty() { asked } else { format!("{asked} ({})", queues.join(", ")) }
}

/// It has completed, and the row does not say so.
fn completed(case: &Case) -> Finding {
    let words = "no run: the workflow has completed, and the row awaits a consumer; the relay \
                 starts it again";
    let missing = case.expects_more().then_some(words.into());
    // A run completes only after the row has its record, so the row is older: it was
    // restored, or awaits a consumer that its run did not know of.
    let finding = Finding { missing, ..Finding::default() };
    finding
        .with_reason("its workflow is COMPLETED; the relay starts it again")
        .healed_by(Act::Restart)
}

/// Nobody tries it again until somebody has mended the cause.
fn failed(run: &WorkflowRun) -> Finding {
    let failure = run.failure.as_ref();
    let of_list = failure.map(|(word, _)| format!(" ({word})")).unwrap_or_default();
    let failure = failure.map(|(word, message)| format!(" ({word}: {message})"));
    let failure = failure.unwrap_or_default();
    Finding::missing(format!("no success of the workflow: it has ended as FAILED{failure}"))
        .with_reason(format!("its workflow is FAILED{of_list}; mend the cause, then redrive"))
        .counted(Kind::WorkflowFailed, "its workflow has failed")
        .healed_by(Act::Restart)
}

/// Somebody has ended it; the relay starts it again where its row awaits that.
fn ended(run: &WorkflowRun, kind: Kind, words: &'static str) -> Finding {
    let status = run.status.as_str();
    Finding::missing(format!("no success of the workflow: it has ended as {status}"))
        .with_reason(format!("its workflow is {status}; the relay starts it again"))
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
