//! What must hold of the consumers that the row expects.

use super::Finding;
use crate::ConsumerState;
use crate::audit::Kind;
use crate::case::Case;
use crate::redrive::Act;

/// Each has acknowledged, or an operator has waived it.
pub(super) fn have_acknowledged(case: &Case, found: &mut Vec<Finding>) {
    let Some(row) = &case.row else { return };
    let before = found.len();
    found.extend(row.consumers.iter().filter_map(|one| unsettled(case, one)));
    if !row.expects_more() {
        return;
    }
    if found.len() == before && row.acknowledged_at.is_none() {
        found.push(Finding::missing(
            "no acknowledgement on the row: every consumer has acknowledged, and the row does not \
             say that it is done",
        ));
    }
    let waived = row.consumers.iter().filter(|one| one.waived_at.is_some());
    found.extend(waived.map(|one| Finding::note(one.words())));
}

/// Nothing is said of the todo service as the only one that a row awaits: that the
/// row has no acknowledgement says it.
fn unsettled(case: &Case, one: &ConsumerState) -> Option<Finding> {
    let name = &one.consumer;
    if one.is_settled() {
        return None;
    }
    if !one.awaited {
        let words = format!("no acknowledgement of {name}, and the row counts as acknowledged");
        let finding = Finding::missing(words).healed_by(Act::Reopen);
        let words = format!("it counts as acknowledged, and {name} has not acknowledged");
        let sound = case.altered.is_none();
        let kind = Kind::ConsumerUnacknowledged;
        return Some(if sound { finding.counted(kind, words) } else { finding });
    }
    let words = if *name == onboard_events::TODO && case.is_registration() {
        format!("no acknowledgement of {name}: the workflow has not recorded the todo")
    } else {
        format!(
            "no acknowledgement of {name}: its program has not acknowledged the event, or the \
             workflow has not recorded it"
        )
    };
    case.expects_more().then(|| Finding::missing(words))
}

pub(super) fn have_no_dead_letters(case: &Case, found: &mut Vec<Finding>) {
    found.extend(case.letters.iter().map(|letter| {
        let of = letter.consumer.as_ref().map(|name| format!(" of {name}"));
        Finding::missing(format!(
            "a dead letter of this event waits{}: {}",
            of.unwrap_or_default(),
            letter.detail.as_deref().unwrap_or(&letter.reason)
        ))
    }));
}
