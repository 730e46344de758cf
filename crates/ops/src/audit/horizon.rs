//! What retention, or the loss of Temporal's database, may have removed.
//!
//! A cleaner writes down how far it goes before it removes anything, so a gap
//! that was seen before the horizon was read is judged by a horizon that covers
//! it.

use mongodb::Database;
use onboard_inbox::INBOX;
use onboard_mongo::retention::removed_before;
use onboard_outbox::{OUTBOX, WORKFLOWS};

use crate::audit::page::read;
use crate::audit::{AuditError, Sources};

/// Whatever lies before may have been removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Horizon(i64);

impl Horizon {
    /// Of the outbox; goes by the row's `createdAt`.
    pub(crate) async fn of_outbox(sources: &Sources) -> Result<Self, AuditError> {
        load(sources.mongo.auth(), OUTBOX).await
    }

    /// Of the inbox; goes by the record's `processedAt`.
    pub(crate) async fn of_inbox(sources: &Sources) -> Result<Self, AuditError> {
        load(sources.mongo.todo(), INBOX).await
    }

    /// Of the workflows, when Temporal's database was lost or replaced; goes by
    /// the row's `acknowledgedAt`. What was not acknowledged by then is rebuilt.
    pub(crate) async fn of_workflows(sources: &Sources) -> Result<Self, AuditError> {
        load(sources.mongo.auth(), WORKFLOWS).await
    }

    /// The time before which something may have been removed.
    pub(crate) const fn ms(self) -> i64 {
        self.0
    }

    /// Whether something from then may have been removed.
    pub(crate) fn covers(self, at_ms: Option<i64>) -> bool {
        at_ms.is_some_and(|at| at < self.0)
    }
}

async fn load(database: &Database, which: &str) -> Result<Horizon, AuditError> {
    let before = read("tell what has been removed", removed_before(database, which)).await?;
    Ok(Horizon(before.unwrap_or(i64::MIN)))
}
