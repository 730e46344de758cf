//! What must hold of the row itself, and how far it is.

use onboard_contract::Stage;

use super::Finding;
use crate::Row;
use crate::audit::Kind;
use crate::case::Case;

/// Said of a row that is unfinished, since its age says nothing.
const AHEAD: &str = "createdAt is in the future: the clock of who wrote the row is wrong";

pub(super) fn has_its_user(case: &Case, found: &mut Vec<Finding>) {
    if !case.is_registration() || !case.user.is_missing() {
        return;
    }
    let finding = Finding::missing("no user: nobody in auth.users has the id of the row");
    found.push(match case.row.as_ref().and_then(|row| row.user_id) {
        Some(id) => finding.counted(Kind::RowWithoutUser, format!("there is no user {id}")),
        None => finding,
    });
}

pub(super) fn is_there(case: &Case, found: &mut Vec<Finding>) {
    if case.row.is_none() {
        found.push(Finding::missing(
            "no outbox row: nothing will publish this event; was it published by hand, or the row \
             deleted?",
        ));
    }
}

pub(super) fn was_removed(_: &Case, found: &mut Vec<Finding>) {
    found.push(Finding::note(
        "retention has removed its outbox row: it had come to its end long before",
    ));
}

/// Whether the services can have written it like that.
pub(super) fn is_sound(case: &Case, found: &mut Vec<Finding>) {
    if let Some(why) = case.altered.or(case.disagrees) {
        let finding = Finding::missing(format!("no sound outbox row: {why}"));
        found.push(finding.counted(Kind::RowAltered, why));
    }
}

pub(super) fn is_not_quarantined(case: &Case, found: &mut Vec<Finding>) {
    let Some(row) = case.row.as_ref().filter(|row| row.quarantined_at.is_some()) else { return };
    let why = row.last_error.as_deref().unwrap_or("no reason noted");
    let words = format!("quarantined: the relay leaves the row alone ({why})");
    found.push(Finding::missing(words).with_reason(format!("quarantined: {why}")));
}

pub(super) fn is_marked(case: &Case, found: &mut Vec<Finding>) {
    let Some(row) = &case.row else { return };
    if !row.sent {
        let words = "no SENT mark: the broker's confirm is not noted on the row";
        found.push(Finding::missing(words));
    }
    if row.acknowledged_at.is_none() && !row.expects_more() {
        found.push(Finding::missing(
            "no acknowledgement on the row: the workflow has not recorded the todo",
        ));
    }
}

/// Where a row stands that has not come to its end. The words of `show` are those
/// of the other rules.
pub(super) fn has_come_to_its_end(case: &Case, found: &mut Vec<Finding>) {
    let Some(row) = case.row.as_ref().filter(|row| row.acknowledged_at.is_none()) else { return };
    if row.ahead {
        found.push(Finding::note(AHEAD).with_reason(format!("{AHEAD}; {}", waits_for(row))));
    }
    let (kind, words) = match row.stage {
        Stage::Pending => (Kind::RowPending, "it waits for the relay"),
        Stage::Started => (Kind::RowUnsent, "its workflow was started and it is not SENT"),
        Stage::Sent | Stage::Stalled => (Kind::RowUnacknowledged, "SENT and not acknowledged"),
        Stage::Acknowledged => return,
    };
    let finding = Finding::default().with_reason(waits_for(row));
    let awaited = row.delivery.as_ref().map(|_| format!("; it awaits {}", row.awaited_names()));
    let words = format!("{words}{}", awaited.unwrap_or_default());
    let sound = case.altered.is_none();
    found.push(if sound { finding.counted(kind, words) } else { finding });
}

/// In a few words.
fn waits_for(row: &Row) -> String {
    match row.stage {
        Stage::Pending => row.last_error.clone().unwrap_or_else(|| "waits for the relay".into()),
        Stage::Started if row.expects_more() => {
            format!("waits for its publish; awaits {}", row.awaited_names())
        }
        Stage::Started => "waits for its publish".to_owned(),
        Stage::Sent | Stage::Stalled if row.expects_more() => {
            format!("waits for {}", row.awaited_names())
        }
        Stage::Sent | Stage::Stalled => "waits for todo service".to_owned(),
        Stage::Acknowledged => String::new(),
    }
}
