//! The replay gate: runs that were recorded in `temporal/histories` must fit
//! the workflow's code of today, or a run in flight would stop at a deployment.

mod patch;
mod record;
mod shapes;
mod sketch;

use std::path::PathBuf;

use base64::Engine;
use onboard_contract::EventId;
use onboard_workflows::UserRegistration;
use serde_json::Value;
use temporalio_client::WorkflowHistory;
use temporalio_sdk::workflow_replayer::{
    WorkflowReplayError, WorkflowReplayFailure, WorkflowReplayer, WorkflowReplayerOptions,
};

use self::shapes::{SHAPES, steps};
use self::sketch::{Change, Sketch};
use crate::harness::{App, eventually};

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../temporal/histories"))
}

fn file(name: &str) -> Vec<u8> {
    let file = folder().join(format!("{name}.json"));
    std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Replays a history with the workflow's code of today.
async fn replay(json: &[u8]) -> Result<(), WorkflowReplayError> {
    let options = WorkflowReplayerOptions::new().register_workflow::<UserRegistration>();
    replay_with(options.unwrap().build(), json).await
}

/// Replays a history with changed code.
async fn replay_changed(change: Change, json: &[u8]) -> Result<(), WorkflowReplayError> {
    let options = WorkflowReplayerOptions::new()
        .register_workflow_with_factory(move || Sketch::with(change))
        .unwrap();
    replay_with(options.build(), json).await
}

async fn replay_with(
    options: WorkflowReplayerOptions,
    json: &[u8],
) -> Result<(), WorkflowReplayError> {
    let history = WorkflowHistory::from_json(json).unwrap();
    WorkflowReplayer::new(options).unwrap().replay_workflow(history).await
}

/// Waits until the latest run of a registration has come to this step.
async fn comes_to(app: &App, id: EventId, step: &str) {
    eventually(&format!("the run comes to {step:?}"), async || {
        if app.workflow(id).await.is_none() {
            return Err(vec!["it is not started".to_owned()]);
        }
        let steps = steps(&app.history(id).await);
        if steps.iter().any(|name| name == step) { Ok(()) } else { Err(steps) }
    })
    .await;
}

/// Whether the replayer refused because the commands are others.
fn is_refused(replayed: &Result<(), WorkflowReplayError>) -> bool {
    let Err(WorkflowReplayError::Replay(failure)) = replayed else { return false };
    matches!(failure, WorkflowReplayFailure::Nondeterminism { .. })
}

#[tokio::test]
async fn every_recorded_history_fits_the_code() {
    for shape in SHAPES {
        let replayed = replay(&file(shape.name)).await;
        assert!(replayed.is_ok(), "{} does not fit any more: {replayed:?}", shape.name);
    }
}

#[tokio::test]
async fn every_recorded_history_has_the_shape_it_is_named_after() {
    for shape in SHAPES {
        let history = WorkflowHistory::from_json(&file(shape.name)).unwrap();
        let steps = steps(&history.into_events().await.unwrap());
        assert!(shape.is_shown_by(&steps), "{}: {steps:#?}", shape.name);
    }
    let mut recorded: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut named: Vec<String> = SHAPES.iter().map(|s| format!("{}.json", s.name)).collect();
    recorded.sort();
    named.sort();
    assert_eq!(recorded, named, "every file is replayed");
}

/// The control of the next test: what the sketch leaves out is not why it is
/// refused.
#[tokio::test]
async fn the_sketch_of_the_workflow_fits_as_long_as_nothing_is_changed() {
    for shape in SHAPES.iter().filter(|shape| shape.sketched) {
        let replayed = replay_changed(Change::Nothing, &file(shape.name)).await;
        assert!(replayed.is_ok(), "{}: {replayed:?}", shape.name);
    }
}

#[tokio::test]
async fn a_changed_command_order_is_refused_by_every_history_it_touches() {
    let mut refusals = 0;
    for change in Change::BREAKING {
        for shape in SHAPES.iter().filter(|shape| shape.sketched) {
            let replayed = replay_changed(change, &file(shape.name)).await;
            let history = WorkflowHistory::from_json(&file(shape.name)).unwrap();
            let steps = steps(&history.into_events().await.unwrap());
            let name = shape.name;
            if change.touches(&steps) {
                assert!(is_refused(&replayed), "{change:?} passes {name}: {replayed:?}");
                refusals += 1;
            } else {
                assert!(replayed.is_ok(), "{change:?} has no part in {name}: {replayed:?}");
            }
        }
    }
    assert!(refusals > 3 * Change::BREAKING.len(), "{refusals} refusals");
}

#[test]
fn no_recorded_history_holds_personal_data_or_names_a_machine() {
    for shape in SHAPES {
        let json: Value = serde_json::from_slice(&file(shape.name)).unwrap();
        let mut texts = Vec::new();
        texts_of(&json, &mut texts);
        let holds = |needle: &str| texts.iter().find(|text| text.contains(needle));
        assert!(holds("\"eventId\"").is_some(), "{}: payloads are read", shape.name);
        // An address, and a worker's identity `pid@host`.
        assert_eq!(holds("@"), None, "{}", shape.name);
        assert_eq!(holds("correct horse"), None, "{}", shape.name);
    }
}

#[test]
fn an_address_in_a_payload_would_be_found() {
    let inside = base64::engine::general_purpose::STANDARD.encode("{\"email\":\"a@b.example\"}");
    let mut texts = Vec::new();
    texts_of(&serde_json::json!({ "events": [{ "data": inside }] }), &mut texts);
    assert!(texts.iter().any(|text| text.contains('@')), "{texts:?}");
}

/// Every text of a document, and what base64 or lists of bytes in it hold.
fn texts_of(json: &Value, texts: &mut Vec<String>) {
    match json {
        Value::String(text) => {
            if let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(text) {
                texts.extend(String::from_utf8(bytes));
            }
            texts.push(text.clone());
        }
        Value::Array(items) => {
            let bytes = items.iter().map(|item| item.as_u64().and_then(|n| u8::try_from(n).ok()));
            if let Some(bytes) = bytes.collect::<Option<Vec<u8>>>() {
                texts.extend(String::from_utf8(bytes));
            }
            for item in items {
                texts_of(item, texts);
            }
        }
        Value::Object(fields) => fields.values().for_each(|field| texts_of(field, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => (),
    }
}
