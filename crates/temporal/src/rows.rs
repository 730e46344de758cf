//! Asks the owner of an outbox which events have a row, by an activity outside of any
//! workflow. A question that is cut off ends by itself; the next one is a new one.

use std::time::Duration;

use onboard_contract::EventId;
use onboard_contract::names::ACTIVITY_FIND_ROWS;
use onboard_runtime::clock;
use temporalio_client::ActivityStartOptions;
use temporalio_common::UntypedActivity;

use crate::workflow::payload;
use crate::{Temporal, TemporalError};

/// How long the owner has to answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);

impl Temporal {
    /// Which of these events have an outbox row, as those say who poll the task queue of
    /// the events' workflows.
    ///
    /// # Errors
    /// Nobody answers, or the server knows no activities outside of workflows.
    pub async fn rows_of(&self, events: &[EventId]) -> Result<Vec<EventId>, TemporalError> {
        const WHAT: &str = "ask which events have a row";
        let client = self.client()?;
        let id = format!("{ACTIVITY_FIND_ROWS}-{}", clock::random_id());
        let options =
            ActivityStartOptions::with_schedule_to_close_timeout(&*self.task_queue, id, ANSWER_MAX);
        let refused = |source: Box<dyn std::error::Error + Send + Sync>| {
            TemporalError::Unavailable { what: WHAT, source: Some(source) }
        };
        let ask = async {
            let activity = UntypedActivity::new(ACTIVITY_FIND_ROWS);
            let asked =
                client.start_activity(activity, payload(&events.to_vec()), options.build()).await;
            let asked = asked.map_err(|error| refused(Box::new(error)))?;
            let answer = asked.result().await.map_err(|error| refused(Box::new(error)))?;
            let answer = answer.payloads.first().map(|answer| serde_json::from_slice(&answer.data));
            answer.transpose().map_err(|error| refused(Box::new(error)))
        };
        let answer = tokio::time::timeout(ANSWER_MAX * 2, ask).await;
        answer.map_err(|_| TemporalError::away(WHAT))??.ok_or_else(|| TemporalError::away(WHAT))
    }
}
