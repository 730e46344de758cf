//! How far a registration is, derived from its outbox row alone.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the relay and the worker have done with an outbox row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum OutboxStatus {
    /// The message is not known to be in the queue yet.
    Pending,
    /// The broker has confirmed the message.
    Sent,
}

impl OutboxStatus {
    /// The word stored in the row.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Sent => "SENT",
        }
    }
}

/// The stage of a registration, in the words shown everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Stage {
    /// The row waits for the relay.
    Pending,
    /// The workflow runs.
    Started,
    /// The broker has confirmed the message.
    Sent,
    /// The todo exists and the workflow is done.
    Acknowledged,
    /// The acknowledgement is overdue; the workflow keeps trying.
    Stalled,
}

/// What a stage is derived from. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub struct StageFacts {
    /// The row's status.
    pub status: OutboxStatus,
    /// Whether the relay has noted a started workflow.
    pub started: bool,
    /// When the row was marked SENT.
    pub sent_at_ms: Option<i64>,
    /// Whether the acknowledgement is recorded.
    pub acknowledged: bool,
}

impl Stage {
    /// The word of the stage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Started => "STARTED",
            Self::Sent => "SENT",
            Self::Acknowledged => "ACKNOWLEDGED",
            Self::Stalled => "STALLED",
        }
    }

    /// Derives the stage at `now_ms`; an acknowledgement is overdue
    /// `overdue_ms` after the row was marked SENT.
    #[must_use]
    pub fn derive(facts: StageFacts, now_ms: i64, overdue_ms: i64) -> Self {
        match (facts.acknowledged, facts.status) {
            (true, _) => Self::Acknowledged,
            (false, OutboxStatus::Pending) if facts.started => Self::Started,
            (false, OutboxStatus::Pending) => Self::Pending,
            (false, OutboxStatus::Sent) => match facts.sent_at_ms {
                Some(sent) if now_ms.saturating_sub(sent) > overdue_ms => Self::Stalled,
                Some(_) | None => Self::Sent,
            },
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(status: OutboxStatus, started: bool, sent: Option<i64>, acked: bool) -> StageFacts {
        StageFacts { status, started, sent_at_ms: sent, acknowledged: acked }
    }

    #[test]
    fn a_stage_follows_from_the_row() {
        use OutboxStatus::{Pending, Sent};
        let table = [
            (facts(Pending, false, None, false), Stage::Pending),
            (facts(Pending, true, None, false), Stage::Started),
            (facts(Sent, true, Some(1_000), false), Stage::Sent),
            (facts(Sent, true, Some(999), false), Stage::Stalled),
            (facts(Sent, true, Some(0), true), Stage::Acknowledged),
        ];
        for (facts, stage) in table {
            assert_eq!(Stage::derive(facts, 31_000, 30_000), stage, "{facts:?}");
        }
    }
}
