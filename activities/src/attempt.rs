//! The try of an activity, as Temporal tells of it, and what it may conclude when it
//! finds no outbox row.
//!
//! Absence ends a workflow for good, so one answer does not suffice. A try inside a
//! workflow task never concludes anything from it. Another try has the primary confirm
//! it by a linearizable read; the activity then goes on trying until it has not found
//! the row for as long as the setting says. Nothing is written here.

use std::time::Duration;

use onboard_contract::EventId;
use onboard_outbox::Outbox;
use temporalio_sdk::activities::ActivityInfo;

use crate::failure::Failure;

/// One try of an activity.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    /// Whether it runs inside a workflow task.
    pub(crate) inside: bool,
    /// Whether it is the first activity that its run has asked for.
    pub(crate) first_of_run: bool,
    /// How long the activity has been tried, by Temporal's clock.
    tried_for: Duration,
    /// From then on a row that is not there is missing for good.
    missing_after: Duration,
}

impl Attempt {
    pub(crate) fn of(info: &ActivityInfo, missing_after: Duration) -> Self {
        let times = info.started_time.zip(info.scheduled_time);
        let tried_for = times.and_then(|(now, first)| now.duration_since(first).ok());
        Self {
            inside: info.is_local,
            // The SDK numbers the activities of a run.
            first_of_run: info.activity_id == "1",
            tried_for: tried_for.unwrap_or_default(),
            missing_after,
        }
    }

    /// What it means that this try has not found the row.
    pub(crate) async fn without_row(self, outbox: &Outbox, event: EventId) -> Failure {
        if self.inside || self.tried_for < self.missing_after {
            return Failure::RowAbsent { event, until: self.missing_after };
        }
        match outbox.is_there(event).await {
            Ok(true) => Failure::RowAbsent { event, until: self.missing_after },
            Ok(false) => Failure::RowMissing(event),
            Err(source) => Failure::from_store(event, source),
        }
    }
}
