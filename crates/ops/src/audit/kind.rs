//! The words for what can be wrong.

use std::fmt;

use serde::Serialize;

/// What a violation counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Class {
    /// Something that was promised is not there.
    Lost,
    /// Something that may be there once is there more often.
    Duplicated,
    /// Something that nothing explains, or that was altered.
    Unexpected,
    /// Older than the grace and still on its way.
    Unfinished,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $class:ident;)+) => {
        /// The kind of a violation; the word is stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Kind {
            $($(#[$doc])* $name,)+
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// What it counts as.
            #[must_use]
            pub const fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)+ }
            }
        }
    };
}

kinds! {
    /// A user has no outbox row. Id: the user's.
    UserWithoutRow = "user_without_row", Lost;
    /// Two users have one address. Id: that of the later user.
    UserDuplicated = "user_duplicated", Duplicated;
    /// A user's fields cannot be what registration wrote. Id: the user's.
    UserAltered = "user_altered", Unexpected;
    /// What an idempotency key promises does not exist. Id: the event's.
    KeyWithoutRegistration = "key_without_registration", Lost;
    /// A session, refresh token, signing key or idempotency key cannot be read. Id: its
    /// collection, and that of the document.
    DocumentUnreadable = "document_unreadable", Unexpected;
    /// An outbox row's user does not exist. Id: the event's.
    RowWithoutUser = "row_without_user", Lost;
    /// A user has more than one row. Id: the later event's.
    RowDuplicated = "row_duplicated", Duplicated;
    /// A row's fields cannot be what the services wrote. Id: the event's.
    RowAltered = "row_altered", Unexpected;
    /// A row waits for the relay. Id: the event's.
    RowPending = "row_pending", Unfinished;
    /// A row has a workflow and is not marked SENT. Id: the event's.
    RowUnsent = "row_unsent", Unfinished;
    /// A row is SENT and not acknowledged. Id: the event's.
    RowUnacknowledged = "row_unacknowledged", Unfinished;
    /// A row is acknowledged, and a consumer that it expects has neither
    /// acknowledged nor is waived. Id: the event's.
    ConsumerUnacknowledged = "consumer_unacknowledged", Lost;
    /// An acknowledged row has no inbox record. Id: the event's.
    InboxMissing = "inbox_missing", Lost;
    /// An event has more than one inbox record. Id: the event's.
    InboxDuplicated = "inbox_duplicated", Duplicated;
    /// An inbox record does not fit its row. Id: the event's.
    InboxAltered = "inbox_altered", Unexpected;
    /// An inbox record has no row. Id: the event's.
    InboxUnexpected = "inbox_unexpected", Unexpected;
    /// Messages with one event id came for more than one user; each user has the
    /// effect. Id: the event's.
    EventConflict = "event_conflict", Unexpected;
    /// A user who was acknowledged has no welcome todo, and has not deleted it.
    /// Id: the todo's.
    TodoMissing = "todo_missing", Lost;
    /// A user has another welcome todo. Id: that todo's.
    TodoDuplicated = "todo_duplicated", Duplicated;
    /// A welcome todo has another owner, or another title that its user did not
    /// give it. Id: the todo's.
    TodoAltered = "todo_altered", Unexpected;
    /// A welcome todo is there whose deletion is noted. Id: the todo's.
    TodoReturned = "todo_returned", Unexpected;
    /// A todo's user does not exist, or nobody made it. Id: the todo's.
    TodoUnexpected = "todo_unexpected", Unexpected;
    /// A row that was started has no workflow. Id: the event's.
    WorkflowMissing = "workflow_missing", Lost;
    /// A workflow failed. Id: the event's.
    WorkflowFailed = "workflow_failed", Unexpected;
    /// A workflow was terminated. Id: the event's.
    WorkflowTerminated = "workflow_terminated", Unexpected;
    /// A workflow timed out. Id: the event's.
    WorkflowTimedOut = "workflow_timed_out", Unexpected;
    /// A workflow was canceled. Id: the event's.
    WorkflowCanceled = "workflow_canceled", Unexpected;
    /// A workflow runs although its row is acknowledged. Id: the event's.
    WorkflowStillOpen = "workflow_still_open", Unfinished;
    /// A workflow has no row, or stands on the task queue and is of a type that belongs
    /// to no event. Id: the workflow's.
    WorkflowUnexpected = "workflow_unexpected", Unexpected;
    /// A workflow stands still because its workflow task fails again and again. Id: the
    /// workflow's.
    WorkflowTaskFails = "workflow_task_fails", Unexpected;
    /// A finished workflow's history lacks a step. Id: the event's.
    HistoryIncomplete = "history_incomplete", Unexpected;
    /// A message is among the dead letters. Id: the message's.
    DeadLetter = "dead_letter", Unexpected;
    /// Messages wait although everything is settled. Id: the queue's name.
    MessageLeftOver = "message_left_over", Unexpected;
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_the_same_in_json() {
        for kind in Kind::ALL {
            let json = serde_json::to_value(kind).unwrap();
            assert_eq!(json, kind.as_str());
        }
    }
}
