//! What crosses Temporal: ids, times and counters, never personal data.
//!
//! Every field added later is `#[serde(default)]`: a history written by an
//! older build must still be read.

use serde::{Deserialize, Serialize};

use crate::{EventId, Stage, TodoId, TraceParent, UserId};

/// When an acknowledgement counts as overdue, unless configured, in ms.
pub const OVERDUE_MS_DEFAULT: u64 = 30_000;

/// The input of the `UserRegistration` workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationInput {
    /// The outbox event.
    pub event_id: EventId,
    /// The user.
    pub user_id: UserId,
    /// The trace the registration belongs to.
    #[serde(default)]
    pub traceparent: Option<TraceParent>,
    /// How long after a publish its acknowledgement is overdue, in ms.
    #[serde(default = "overdue_default")]
    pub overdue_ms: u64,
    /// What an earlier run of the same workflow handed over.
    #[serde(default)]
    pub carried: Option<Carried>,
}

/// What continue-as-new hands to the next run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Carried {
    /// The stage; only a row that is SENT is waited for.
    #[serde(default = "sent")]
    pub stage: Stage,
    /// Publishes so far.
    pub publishes: u32,
    /// Overdue checks so far; decides the wait before the next one.
    pub overdue_checks: u32,
    /// Since when the acknowledgement is waited for, ms since the epoch.
    #[serde(default)]
    pub awaited_since_ms: Option<u64>,
}

const fn sent() -> Stage {
    Stage::Sent
}

const fn overdue_default() -> u64 {
    OVERDUE_MS_DEFAULT
}

/// The input of the activities that work on the outbox row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventRef {
    /// The outbox event.
    pub event_id: EventId,
    /// The trace the registration belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<TraceParent>,
}

/// What the todo service acknowledges, and the inbox proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Acknowledgement {
    /// The event that was processed.
    pub event_id: EventId,
    /// The welcome todo.
    pub todo_id: TodoId,
}

/// The answer of the `progress` query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The stage the workflow is in.
    pub stage: Stage,
    /// Confirmed publishes so far.
    pub publishes: u32,
    /// Overdue checks so far.
    pub overdue_checks: u32,
    /// The acknowledged todo, once there is one.
    pub todo_id: Option<TodoId>,
}
