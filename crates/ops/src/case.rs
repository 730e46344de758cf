//! One event, as far as the stores were asked about it.
//!
//! The audit gathers the cases of a page of rows at once, `show` and `redrive` one
//! alone, and `list` no more than the row and its workflow. All of them judge by
//! [`crate::rules`]. A case is what was read: nothing is lost when a process dies.

use mongodb::bson::Document;
use onboard_contract::{ConsumerName, EventType};
use onboard_inbox::InboxRecord;
use onboard_temporal::{Answering, Execution, ExecutionStatus};

use crate::show::Letter;
use crate::{Row, sound};

/// What a store said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Looked<T> {
    /// Nobody asked it, or it gave no answer.
    #[default]
    NotAsked,
    /// It has nothing.
    Missing,
    /// It has this.
    Found(T),
}

/// What is known of an event.
#[derive(Debug, Default)]
pub(crate) struct Case {
    /// The outbox row.
    pub(crate) row: Option<Row>,
    /// What is wrong with the fields of the row; only where all of it was read.
    pub(crate) altered: Option<&'static str>,
    /// What disagrees between the row and its user.
    pub(crate) disagrees: Option<&'static str>,
    /// Whether retention has removed the row.
    pub(crate) row_removed: bool,
    /// The type of an event without a row.
    pub(crate) event_type: Option<&'static EventType>,
    /// The user of a registration.
    pub(crate) user: Looked<()>,
    /// The latest run of its workflow.
    pub(crate) workflow: Looked<WorkflowRun>,
    /// Publishes that the broker has confirmed.
    pub(crate) confirmed: Looked<u32>,
    /// The todo service's records of a registration.
    pub(crate) inbox: Looked<Vec<InboxRecord>>,
    /// Whose the todo is that has the id of the welcome todo.
    pub(crate) todo: Looked<TodoOwner>,
    /// Whether the inbox notes that the user has deleted the welcome todo.
    pub(crate) todo_deleted: bool,
    /// Its dead letters.
    pub(crate) letters: Vec<Letter>,
    /// What need not be there any more.
    pub(crate) removed: Removed,
    /// A row that was acknowledged by then has a workflow that has ended.
    pub(crate) settled_until_ms: Option<i64>,
}

/// Whose a todo with the id of a user's welcome todo is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TodoOwner {
    /// The user's.
    User,
    /// Another user's, or nobody's.
    Another,
}

/// A run of a workflow.
#[derive(Debug, Clone)]
pub(crate) struct WorkflowRun {
    pub(crate) status: ExecutionStatus,
    /// What Temporal says of it; absent where only its status was asked.
    pub(crate) described: Option<Execution>,
    /// Type and message of the failure that it ended with.
    pub(crate) failure: Option<(String, String)>,
    /// Why its workflow task has failed last.
    pub(crate) task_failure: Option<String>,
    /// Who is there to answer it, while it asks a consumer; only where that was asked.
    pub(crate) answering: Vec<Answering>,
}

/// Until when the traces of what has come to its end may be gone.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "the unit comes last")]
pub(crate) struct Removed {
    /// Rows that were created before then.
    pub(crate) rows_before_ms: i64,
    /// Inbox records that were committed before then.
    pub(crate) inbox_before_ms: i64,
    /// Workflows of rows that were acknowledged before then.
    pub(crate) workflows_before_ms: i64,
}

impl Default for Removed {
    /// Nothing is.
    fn default() -> Self {
        let never = i64::MIN;
        Self { rows_before_ms: never, inbox_before_ms: never, workflows_before_ms: never }
    }
}

impl<T> Looked<T> {
    /// The answer of a store that was asked.
    pub(crate) fn of(found: Option<T>) -> Self {
        found.map_or(Self::Missing, Self::Found)
    }

    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Looked<U> {
        match self {
            Self::NotAsked => Looked::NotAsked,
            Self::Missing => Looked::Missing,
            Self::Found(found) => Looked::Found(change(found)),
        }
    }

    pub(crate) const fn found(&self) -> Option<&T> {
        match self {
            Self::Found(found) => Some(found),
            Self::NotAsked | Self::Missing => None,
        }
    }

    pub(crate) const fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }

    pub(crate) const fn was_asked(&self) -> bool {
        !matches!(self, Self::NotAsked)
    }
}

impl From<Execution> for WorkflowRun {
    fn from(execution: Execution) -> Self {
        Self { described: Some(execution.clone()), ..Self::from(execution.status) }
    }
}

impl From<ExecutionStatus> for WorkflowRun {
    fn from(status: ExecutionStatus) -> Self {
        Self { status, described: None, failure: None, task_failure: None, answering: Vec::new() }
    }
}

impl Case {
    /// Takes the row as it is stored, the whole of it.
    pub(crate) fn set_row(&mut self, row: Option<&Document>, now_ms: i64, overdue_ms: i64) {
        let Some(document) = row else { return };
        let row = onboard_outbox::Row::read(document);
        self.altered = sound::altered(document, &row);
        self.row = Row::of(row, now_ms, overdue_ms);
    }

    /// The type of the event, as far as this build knows it.
    pub(crate) fn known_type(&self) -> Option<&'static EventType> {
        self.row.as_ref().map_or(self.event_type, |row| row.known_type)
    }

    /// Whether it is about a user and a welcome todo, as far as is known.
    pub(crate) fn is_registration(&self) -> bool {
        self.known_type().is_none_or(onboard_events::is_registration)
    }

    /// Whether its row expects more than the todo service, or did.
    pub(crate) fn expects_more(&self) -> bool {
        self.row.as_ref().is_some_and(Row::expects_more)
    }

    /// Whether its row expects the consumer, or did.
    pub(crate) fn names(&self, consumer: &ConsumerName) -> bool {
        let mut named = self.row.iter().flat_map(|row| &row.consumers);
        named.any(|one| one.consumer == *consumer)
    }

    /// Whether the todo service is to do its part, as far as is known.
    pub(crate) fn expects_todo(&self) -> bool {
        let nobody = self.row.as_ref().is_none_or(|row| row.consumers.is_empty());
        self.is_registration() && (nobody || self.names(&onboard_events::TODO))
    }

    /// Whether its row is there and not acknowledged.
    pub(crate) fn is_unacknowledged(&self) -> bool {
        self.row.as_ref().is_some_and(|row| row.acknowledged_at.is_none())
    }

    pub(crate) fn acknowledged_at(&self) -> Option<i64> {
        self.row.as_ref().and_then(|row| row.acknowledged_at)
    }

    /// Who is awaited, where the workflow waits in no activity.
    pub(crate) fn awaited(&self) -> String {
        match &self.row {
            Some(row) if row.expects_more() && !row.awaited.is_empty() => row.awaited_names(),
            Some(_) | None => "the todo service".to_owned(),
        }
    }
}
