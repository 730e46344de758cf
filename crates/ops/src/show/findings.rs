//! The missing links of a record, in words, and what to do about them.

use onboard_contract::{ConsumerName, Stage};

use super::Record;
use crate::operator::Removed;
use crate::{ConsumerState, Row};

impl Record {
    pub(super) fn knows_nothing(&self) -> bool {
        self.user.is_none()
            && self.outbox.is_none()
            && self.workflow.is_none()
            && self.inbox.is_none()
            && self.dead_letters.is_empty()
            && self.redrives.is_empty()
    }

    /// Names every missing link. What was removed in its time is none.
    pub(super) fn judge(&mut self, removed: Removed) {
        let is_removed = self.is_removed(removed);
        if is_removed {
            self.notes.push(
                "retention has removed its outbox row: it had come to its end long before"
                    .to_owned(),
            );
        } else {
            self.judge_user();
            self.judge_row();
            self.judge_workflow(removed);
            self.judge_consumers();
            if self.expects_todo() {
                self.judge_inbox();
            }
        }
        // Whether its user has deleted the todo is said in the inbox.
        if (!is_removed && self.expects_todo()) || self.inbox.is_some() {
            self.judge_todo();
        }
        for letter in &self.dead_letters {
            let of = letter.consumer.as_ref().map(|name| format!(" of {name}"));
            self.missing.push(format!(
                "a dead letter of this event waits{}: {}",
                of.unwrap_or_default(),
                letter.detail.as_deref().unwrap_or(&letter.reason)
            ));
        }
        self.complete = self.missing.is_empty() && self.unreachable.is_empty();
        self.advise();
    }

    /// A row is removed only when it is SENT and acknowledged, so its workflow
    /// has completed, and its user is there.
    fn is_removed(&self, removed: Removed) -> bool {
        let registered = self.user.as_ref().and_then(|user| user.created_at);
        let workflow = self.workflow.as_ref();
        self.outbox.is_none()
            && registered.is_some_and(|registered| registered < removed.rows_before_ms)
            && workflow.is_none_or(|workflow| workflow.status == "COMPLETED")
    }

    fn judge_user(&mut self) {
        if self.user.is_none() {
            self.missing.push("no user: nobody in auth.users has the id of the row".to_owned());
        }
    }

    fn judge_row(&mut self) {
        let Some(row) = &self.outbox else {
            self.missing.push(
                "no outbox row: nothing will publish this event; was it published by hand, or \
                 the row deleted?"
                    .to_owned(),
            );
            return;
        };
        if row.quarantined_at.is_some() {
            let why = row.last_error.as_deref().unwrap_or("no reason noted");
            self.missing.push(format!("quarantined: the relay leaves the row alone ({why})"));
        }
        if !row.sent {
            self.missing
                .push("no SENT mark: the broker's confirm is not noted on the row".to_owned());
        }
        if row.acknowledged_at.is_none() && !self.expects_more() {
            self.missing.push(
                "no acknowledgement on the row: the workflow has not recorded the todo".to_owned(),
            );
        }
    }

    /// Of a row that expects more than the todo service, names each consumer that
    /// is missing.
    fn judge_consumers(&mut self) {
        if !self.expects_more() {
            return;
        }
        let missing = self.consumers.iter().filter(|one| !one.is_settled()).map(|one| {
            let name = &one.consumer;
            if one.awaited && *name == ConsumerName::TODO {
                format!("no acknowledgement of {name}: the workflow has not recorded the todo")
            } else if one.awaited {
                format!(
                    "no acknowledgement of {name}: its program has not acknowledged the event, or \
                     the workflow has not recorded it"
                )
            } else {
                format!("no acknowledgement of {name}, and the row counts as acknowledged")
            }
        });
        let missing: Vec<String> = missing.collect();
        if missing.is_empty() && self.is_unacknowledged() {
            self.missing.push(
                "no acknowledgement on the row: every consumer has acknowledged, and the row does \
                 not say that it is done"
                    .to_owned(),
            );
        }
        self.missing.extend(missing);
        let waived = self.consumers.iter().filter(|one| one.waived_at.is_some());
        self.notes.extend(waived.map(ConsumerState::words));
    }

    fn expects_more(&self) -> bool {
        self.outbox.as_ref().is_some_and(Row::expects_more)
    }

    /// Whether the todo service is to do its part, as far as is known.
    fn expects_todo(&self) -> bool {
        self.consumers.is_empty() || self.names(&ConsumerName::TODO)
    }

    /// Whether the row expects the consumer, or did.
    pub(super) fn names(&self, consumer: &ConsumerName) -> bool {
        self.consumers.iter().any(|one| one.consumer == *consumer)
    }

    fn is_unacknowledged(&self) -> bool {
        self.outbox.as_ref().is_some_and(|row| row.acknowledged_at.is_none())
    }

    /// Who is awaited, where the workflow waits in no activity.
    fn awaited(&self) -> String {
        match &self.outbox {
            Some(row) if row.expects_more() && !row.awaited.is_empty() => row.awaited_names(),
            Some(_) | None => "the todo service".to_owned(),
        }
    }

    fn judge_workflow(&mut self, removed: Removed) {
        if self.unreachable.iter().any(|who| who.starts_with("Temporal")) {
            return;
        }
        let Some(workflow) = &self.workflow else {
            let row = self.outbox.as_ref();
            let done_ms = row.and_then(|row| row.acknowledged_at);
            if done_ms.is_some_and(|done| done < removed.workflows_before_ms) {
                self.notes.push("Temporal no longer remembers the workflow".to_owned());
            } else if row.is_some_and(|row| row.stage == Stage::Pending) {
                self.missing.push("no workflow: the relay has not started it".to_owned());
            } else {
                self.missing.push("no workflow: Temporal does not know it".to_owned());
            }
            return;
        };
        match workflow.status {
            "COMPLETED" if self.expects_more() && self.is_unacknowledged() => self.missing.push(
                "no run: the workflow has completed, and the row awaits a consumer; the relay \
                 starts it again"
                    .to_owned(),
            ),
            "COMPLETED" => (),
            "RUNNING" => self.missing.push(format!(
                "no end of the workflow: it is {}",
                match (&workflow.pending_activity, &workflow.last_failure) {
                    (Some(activity), Some(failure)) => format!(
                        "at try {} of {activity} ({failure})",
                        workflow.attempt.unwrap_or_default()
                    ),
                    (Some(activity), None) => format!("in {activity}"),
                    (None, _) => format!("waiting for {}", self.awaited()),
                }
            )),
            status => self.missing.push(format!(
                "no success of the workflow: it has ended as {status}{}",
                workflow.last_failure.as_ref().map(|f| format!(" ({f})")).unwrap_or_default()
            )),
        }
        // A run for consumers of a row that is SENT may get its acknowledgements first.
        let may_have_none = self.expects_more() && self.outbox.as_ref().is_some_and(|row| row.sent);
        if !may_have_none && self.confirm.as_ref().is_none_or(|confirm| confirm.publishes == 0) {
            self.missing.push("no confirm: the broker has confirmed no publish".to_owned());
        }
    }

    fn judge_inbox(&mut self) {
        let others = self.inbox.as_ref().map_or(0, |inbox| inbox.conflicts);
        if others > 0 {
            self.notes.push(format!(
                "messages with this event id came for {others} other users, too; each has the todo"
            ));
        }
        let missing = match &self.inbox {
            None => Some("no inbox record: the todo service has not committed it"),
            Some(inbox) if inbox.acknowledged_at.is_none() => {
                Some("no note in the inbox: the workflow has not been told")
            }
            Some(_) => None,
        };
        self.missing.extend(missing.map(str::to_owned));
    }

    fn judge_todo(&mut self) {
        let deleted = self.inbox.as_ref().is_some_and(|inbox| inbox.todo_deleted_at.is_some());
        match (&self.todo, deleted) {
            (Some(_), false) => (),
            (None, true) => self.notes.push("the user has deleted the welcome todo".to_owned()),
            (None, false) => self.missing.push("no welcome todo of this user".to_owned()),
            (Some(_), true) => self.missing.push(
                "no end of the welcome todo: its deletion is noted, and it is there".to_owned(),
            ),
        }
    }

    fn advise(&mut self) {
        let id = self.registration_id.map_or_else(String::new, |id| id.to_string());
        let redrive = format!("onboard redrive {id}");
        let row = self.outbox.as_ref();
        let status = self.workflow.as_ref().map(|workflow| workflow.status);
        let next = if !self.unreachable.is_empty() {
            "bring back the server that could not be asked, then look again".to_owned()
        } else if self.complete {
            "nothing".to_owned()
        } else if !self.dead_letters.is_empty() {
            format!("mend what the dead letter names, then {redrive}")
        } else if row.is_none() {
            "see what `onboard audit` says; without its row nothing publishes this event".to_owned()
        } else if status == Some("COMPLETED") && self.expects_more() && self.is_unacknowledged() {
            format!("is the relay up? It starts the workflow again; or {redrive}")
        } else if status == Some("COMPLETED") {
            "it has completed, so a record was removed since: see what `onboard audit` says"
                .to_owned()
        } else if row.is_some_and(|row| row.quarantined_at.is_some() || row.last_error.is_some()) {
            format!("mend what the row names, then {redrive}")
        } else {
            match row.map(|row| row.stage) {
                Some(Stage::Pending) => "is the relay up? It starts the workflow".to_owned(),
                Some(_) if status != Some("RUNNING") => redrive,
                Some(Stage::Started) => "is RabbitMQ up? The workflow keeps trying".to_owned(),
                Some(Stage::Stalled) if self.expects_more() => {
                    let awaited = self.awaited();
                    format!("does {awaited} run and acknowledge? If so: {redrive}")
                }
                Some(Stage::Stalled) => format!("is the todo service up? If it is: {redrive}"),
                Some(Stage::Sent | Stage::Acknowledged) | None => {
                    "wait a little, then look again".to_owned()
                }
            }
        };
        self.next.push(next);
    }
}
