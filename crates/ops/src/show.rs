//! `onboard show`: the whole record of a registration, or of another event, across every
//! store.
//!
//! It only reads. A part that cannot be read because a server is unavailable is named
//! as such, and does not count as missing.

mod findings;
mod gather;

pub(crate) use gather::owner;

use onboard_contract::{ConsumerName, EventId, EventType};
use onboard_events::TodoId;
use serde::Serialize;

use crate::{ConsumerState, OddRow, Row, times};

/// What is asked about.
#[derive(Debug, Clone)]
pub enum Subject {
    /// A registration, or another event.
    Registration(EventId),
    /// The user with an address, by the forms it may have, the nearest first.
    Email(Vec<String>),
    /// An outbox row that bears no event's id, by the words that a list names it by.
    Odd(String),
}

impl Subject {
    /// The words.
    fn words(&self) -> String {
        match self {
            Self::Registration(event) => event.to_string(),
            Self::Email(forms) => forms.first().cloned().unwrap_or_default(),
            Self::Odd(text) => text.clone(),
        }
    }
}

/// Everything that is known about one registration, or another event.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Its id.
    pub registration_id: Option<EventId>,
    /// What this build knows of the type of the event.
    #[serde(skip)]
    pub(crate) event_type: Option<&'static EventType>,
    /// Whether it has come to its end with nothing missing.
    pub complete: bool,
    /// The user.
    pub user: Option<User>,
    /// The outbox row.
    pub outbox: Option<Row>,
    /// The outbox row, where it bears no event's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub odd_row: Option<OddRow>,
    /// What each consumer has done that the row expects, or an operator has waived.
    pub consumers: Vec<ConsumerState>,
    /// The workflow.
    pub workflow: Option<Workflow>,
    /// What the workflow's history says about the broker's confirms.
    pub confirm: Option<Confirm>,
    /// The inbox record.
    pub inbox: Option<InboxRecord>,
    /// The welcome todo.
    pub todo: Option<Todo>,
    /// Dead letters of this event.
    pub dead_letters: Vec<Letter>,
    /// What operators have done about it.
    pub redrives: Vec<Redriven>,
    /// Every missing link, in words.
    pub missing: Vec<String>,
    /// What is worth knowing and no missing link.
    pub notes: Vec<String>,
    /// What to do next.
    pub next: Vec<String>,
    /// Who could not be asked.
    pub unreachable: Vec<String>,
}

impl Record {
    /// Whether it is about a user and a welcome todo, as far as is known.
    #[must_use]
    pub fn is_registration(&self) -> bool {
        self.event_type.is_none_or(onboard_events::is_registration)
    }
}

/// A user.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Its id.
    pub user_id: String,
    /// The address as given.
    pub email: Option<String>,
    /// When it registered.
    #[serde(serialize_with = "times::maybe")]
    pub created_at: Option<i64>,
}

/// A workflow.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Workflow {
    /// Its id.
    pub workflow_id: String,
    /// Its latest run.
    pub run_id: String,
    /// How that stands.
    pub status: &'static str,
    /// Events in its history.
    pub history_events: usize,
    /// The activity it waits in.
    pub pending_activity: Option<String>,
    /// The try of it.
    pub attempt: Option<u32>,
    /// When the next try is due.
    #[serde(serialize_with = "times::maybe")]
    pub next_try_at: Option<i64>,
    /// Who has paused it, or the activity.
    pub paused_by: Option<String>,
    /// Since when.
    #[serde(serialize_with = "times::maybe")]
    pub paused_at: Option<i64>,
    /// Why.
    pub paused_reason: Option<String>,
    /// Why the last try, the workflow itself or its workflow task failed.
    pub last_failure: Option<String>,
    /// The stage it says it is in.
    pub stage: Option<&'static str>,
    /// Its looks for an overdue acknowledgement.
    pub overdue_checks: Option<u32>,
}

/// The broker's word.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Confirm {
    /// Confirmed publishes, over all runs where the workflow tells them.
    pub publishes: u32,
    /// When the last one was reported.
    #[serde(serialize_with = "times::maybe")]
    pub last_confirm_at: Option<i64>,
    /// How often operators asked for another.
    pub republish_requests: u32,
}

/// A record in the inbox.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InboxRecord {
    /// The todo it made.
    pub todo_id: Option<TodoId>,
    /// When it was committed.
    #[serde(serialize_with = "times::maybe")]
    pub processed_at: Option<i64>,
    /// When the workflow had been told.
    #[serde(serialize_with = "times::maybe")]
    pub acknowledged_at: Option<i64>,
    /// When the user deleted the todo.
    #[serde(serialize_with = "times::maybe")]
    pub todo_deleted_at: Option<i64>,
    /// For how many other users a message with the same event id came.
    pub conflicts: usize,
}

/// A todo.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Todo {
    /// Its id.
    pub todo_id: TodoId,
    /// Its title.
    pub title: Option<String>,
    /// When it was made.
    #[serde(serialize_with = "times::maybe")]
    pub created_at: Option<i64>,
}

/// A dead letter.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Letter {
    /// The consumer that gave it up; absent for the todo service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer: Option<ConsumerName>,
    /// Why it was given up on.
    pub reason: String,
    /// In words.
    pub detail: Option<String>,
}

/// An act of an operator.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Redriven {
    /// What was done.
    pub act: String,
    /// By whom.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When it was begun.
    #[serde(serialize_with = "times::maybe")]
    pub at: Option<i64>,
    /// When it was done; absent when it was cut off.
    #[serde(serialize_with = "times::maybe")]
    pub done_at: Option<i64>,
}
