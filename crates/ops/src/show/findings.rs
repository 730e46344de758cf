//! The missing links of a record, in words, and what to do about them.

use std::borrow::Cow;

use onboard_contract::{EventId, Stage};

use super::Record;
use crate::case::Case;
use crate::redrive::Act;
use crate::{OddRow, rules};

impl Record {
    pub(super) fn knows_nothing(&self) -> bool {
        self.user.is_none()
            && self.outbox.is_none()
            && self.workflow.is_none()
            && self.inbox.is_none()
            && self.dead_letters.is_empty()
            && self.redrives.is_empty()
    }

    /// The record of a row that bears no event's id: nothing else can belong to it.
    pub(super) fn of_odd_row(row: OddRow) -> Self {
        Self {
            missing: vec![format!("no sound outbox row: {}", row.reason)],
            next: vec!["repair the row by hand, or remove it; its id cannot be changed".to_owned()],
            odd_row: Some(row),
            ..Self::default()
        }
    }

    /// Names every missing link. What was removed in its time is none.
    pub(super) fn judge(&mut self, mut case: Case) {
        case.row_removed = self.is_removed(&case);
        case.todo_deleted = self.inbox.as_ref().is_some_and(|it| it.todo_deleted_at.is_some());
        self.event_type = case.known_type();
        case.letters.clone_from(&self.dead_letters);
        let (mut command, mut undone) = (None, false);
        for found in rules::judge(&case) {
            self.missing.extend(found.missing.map(Cow::into_owned));
            self.notes.extend(found.note.map(Cow::into_owned));
            command = command.or(found.next);
            undone |= found.remedy == Some(Act::Reopen);
        }
        self.complete = self.missing.is_empty() && self.unreachable.is_empty();
        let next = command.unwrap_or_else(|| self.advice(&case, undone));
        self.next.push(next);
    }

    /// A row is removed only when it is SENT and acknowledged, so its workflow
    /// has completed, and the user of a registration is there.
    fn is_removed(&self, case: &Case) -> bool {
        let of_user = || self.user.as_ref().and_then(|user| user.created_at);
        let registration = case.is_registration();
        let created = if registration { of_user() } else { self.registration_id.and_then(born) };
        let workflow = self.workflow.as_ref();
        self.outbox.is_none()
            && created.is_some_and(|created| created < case.removed.rows_before_ms)
            && workflow.is_none_or(|workflow| workflow.status == "COMPLETED")
    }

    /// What to do next. `undone`: the row counts as done, and an effect is missing.
    fn advice(&self, case: &Case, undone: bool) -> String {
        let id = self.registration_id.map_or_else(String::new, |id| id.to_string());
        let redrive = format!("onboard redrive {id}");
        let row = self.outbox.as_ref();
        let status = self.workflow.as_ref().map(|workflow| workflow.status);
        if !self.unreachable.is_empty() {
            "bring back the server that could not be asked, then look again".to_owned()
        } else if self.complete {
            "nothing".to_owned()
        } else if !self.dead_letters.is_empty() {
            format!("mend what the dead letter names, then {redrive}")
        } else if row.is_none() {
            "see what `onboard audit` says; without its row nothing publishes this event".to_owned()
        } else if undone {
            redrive
        } else if status == Some("COMPLETED") && case.is_unacknowledged() {
            format!("is the relay up? It starts the workflow again; or {redrive}")
        } else if status == Some("COMPLETED") {
            "it has completed, so a record was removed since: see what `onboard audit` says"
                .to_owned()
        } else if row.is_some_and(|row| row.quarantined_at.is_some() || row.last_error.is_some()) {
            format!("mend what the row names, then {redrive}")
        } else {
            match row.map(|row| row.stage) {
                Some(Stage::Pending) => "is the relay up? It starts the workflow".to_owned(),
                Some(_) if status == Some("FAILED") => {
                    format!("mend what the workflow failed with, then {redrive}")
                }
                Some(_) if status.is_none_or(|status| status != "RUNNING") => redrive,
                Some(Stage::Started) => "is RabbitMQ up? The workflow keeps trying".to_owned(),
                Some(Stage::Stalled) if case.expects_more() => {
                    let awaited = case.awaited();
                    format!("does {awaited} run and acknowledge? If so: {redrive}")
                }
                Some(Stage::Stalled) => format!("is the todo service up? If it is: {redrive}"),
                Some(Stage::Sent | Stage::Acknowledged) | None => {
                    "wait a little, then look again".to_owned()
                }
            }
        }
    }
}

/// When the id of an event was made, in Unix ms (UUIDv7).
fn born(event: EventId) -> Option<i64> {
    let (seconds, nanos) = event.uuid().get_timestamp()?.to_unix();
    i64::try_from(seconds.saturating_mul(1_000) + u64::from(nanos / 1_000_000)).ok()
}
