//! Consumers of other programs: a registration ends when every consumer that it
//! expects has acknowledged it, and none of them holds up another.

mod away;
mod junk;
mod lag;
mod plain;
mod python;
mod servers;

use mongodb::bson::Document;
use onboard_contract::EventId;
use onboard_events::TodoId;
use serde_json::{Value, json};
use temporalio_client::WorkflowExecutionStatus;
use temporalio_common::protos::temporal::api::history::v1::HistoryEvent;

use crate::harness::{App, eventually};

const QUEUE: &str = "crm.user_registered";

/// The `ref` with which each consumer has acknowledged, as the row has it.
async fn acknowledgements(app: &App, event: EventId) -> Value {
    let row = app.row(event).await;
    let all = row.get_document("acknowledgements").cloned().unwrap_or_default();
    let one = |one: &Document| {
        assert!(one.get_datetime("at").is_ok(), "{row}");
        one.get_str("ref").unwrap().to_owned()
    };
    let all = all.iter().map(|(name, value)| (name.clone(), one(value.as_document().unwrap())));
    json!(all.collect::<std::collections::BTreeMap<_, _>>())
}

/// Waits until the row has these.
async fn recorded(app: &App, event: EventId, expected: Value) {
    eventually(&format!("the row has {expected}"), async || {
        match acknowledgements(app, event).await {
            found if found == expected => Ok(()),
            found => Err(found),
        }
    })
    .await;
}

/// The id of the welcome todo of a registration.
async fn welcome(app: &App, event: EventId) -> String {
    TodoId::welcome(app.registered_user(event).await).to_string()
}

/// Waits until the run still awaits exactly these.
async fn awaits(app: &App, event: EventId, names: &[&str]) {
    eventually(&format!("the run awaits {names:?}"), async || {
        if app.workflow(event).await.is_none() {
            return Err(json!("it is not started"));
        }
        let progress = app.progress(event).await;
        if progress["awaited"] == json!(names) { Ok(()) } else { Err(progress) }
    })
    .await;
}

/// Waits until the run has completed; its history.
async fn completed(app: &App, event: EventId) -> Vec<HistoryEvent> {
    eventually("the run has completed", async || match app.workflow(event).await {
        Some(WorkflowExecutionStatus::Completed) => Ok(()),
        status => Err(status),
    })
    .await;
    app.history(event).await
}
