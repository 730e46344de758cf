//! How a change gets into the workflow: patched in, the patch deprecated, the
//! patch removed (docs/adr/0036). The example moves the mark before the
//! publish; the runs are real, their activities do nothing.

#![allow(dead_code, reason = "the macro declares handles that only workflows would use")]

use onboard_contract::workflow::{EventRef, PublishRef, Published, RecordRef};
use onboard_events::{Acknowledgement, RegistrationInput};
use onboard_workflows::activities::{
    CheckTodoAcknowledgement, MarkOutboxSent, PublishUserRegistered, RecordAcknowledgement,
};
use temporalio_client::WorkflowHistory;
use temporalio_sdk::activities::{ActivityContext, ActivityError, activities};
use temporalio_sdk::runtime::RuntimeOptions;
use temporalio_sdk::{Runtime, Worker, WorkerOptions};
use uuid::Uuid;

use super::shapes::{SHAPES, steps};
use super::sketch::{Change, Sketch};
use super::{comes_to, file, is_refused, replay_changed};
use crate::harness::{App, Options, eventually};

#[tokio::test]
async fn a_patched_workflow_replays_the_old_runs_and_runs_new_ones_the_new_way() {
    for shape in SHAPES.iter().filter(|shape| shape.sketched) {
        let replayed = replay_changed(Change::Patched, &file(shape.name)).await;
        assert!(replayed.is_ok(), "{}: {replayed:?}", shape.name);
    }
    let new = run(Change::Patched).await;
    assert_eq!(order(&new).await, ["patch", "mark", "publish"]);
    assert!(replay_changed(Change::Patched, &new).await.is_ok());
    // That is why a release that patches is not simply rolled back.
    assert!(is_refused(&replay_changed(Change::Nothing, &new).await));
}

#[tokio::test]
async fn a_deprecated_patch_replays_the_patched_runs_and_no_older_ones() {
    let patched = run(Change::Patched).await;
    assert!(replay_changed(Change::Deprecated, &patched).await.is_ok());
    assert!(is_refused(&replay_changed(Change::Deprecated, &file("plain")).await));
    // Without the patch: what ran with it must be over.
    assert!(is_refused(&replay_changed(Change::MarkFirst, &patched).await));
    let deprecated = run(Change::Deprecated).await;
    assert!(replay_changed(Change::MarkFirst, &deprecated).await.is_ok());
    let last = run(Change::MarkFirst).await;
    assert_eq!(order(&last).await, ["mark", "publish"]);
    assert!(replay_changed(Change::Deprecated, &last).await.is_ok(), "rolling back is possible");
}

/// The first steps of a history.
async fn order(json: &[u8]) -> Vec<String> {
    let events = WorkflowHistory::from_json(json).unwrap().into_events().await.unwrap();
    let first = ["patch", "mark", "publish"];
    steps(&events).into_iter().filter(|step| first.contains(&step.as_str())).collect()
}

/// The history of one run on a real server, to its end.
async fn run(change: Change) -> Vec<u8> {
    let app = App::prepare_on_shared(Options::only(&[])).await;
    let runtime = Runtime::from_current_tokio(RuntimeOptions::default()).unwrap();
    let options = WorkerOptions::new(format!("registration-{}", app.id))
        .register_workflow_with_factory(move || Sketch::with(change))
        .unwrap()
        .register_activities(Nothing)
        .build();
    let mut worker = Worker::new(&runtime, app.temporal().await, options).unwrap();
    let stop = worker.shutdown_handle();
    let event = Uuid::now_v7();
    let drive = async {
        let input = RegistrationInput {
            event_id: event.into(),
            user_id: Uuid::new_v4().into(),
            traceparent: None,
            overdue_ms: 1_000,
            delivery: None,
            carried: None,
        };
        let id = format!("registration-{event}");
        app.start_held_workflow(&id, serde_json::to_value(input).unwrap()).await;
        comes_to(&app, event.into(), "timer").await;
        app.signal(event.into(), "todo_acknowledged").await;
        eventually("the run completes", async || match app.open_workflows().await {
            0 => Ok(()),
            open => Err(open),
        })
        .await;
        stop();
    };
    let (ran, ()) = tokio::join!(worker.run(), drive);
    ran.unwrap();
    let history = app.history_json(event.into(), None).await;
    app.remove().await;
    history
}

/// Activities that do nothing.
struct Nothing;

#[activities]
#[allow(clippy::unused_async, reason = "the macro demands these signatures")]
impl Nothing {
    #[activity(definition = PublishUserRegistered)]
    async fn publish(
        _ctx: ActivityContext,
        _event: PublishRef,
    ) -> Result<Option<Published>, ActivityError> {
        Ok(None)
    }

    #[activity(definition = MarkOutboxSent)]
    async fn mark(_ctx: ActivityContext, _event: EventRef) -> Result<(), ActivityError> {
        Ok(())
    }

    #[activity(definition = CheckTodoAcknowledgement)]
    async fn look(
        _ctx: ActivityContext,
        _event: EventRef,
    ) -> Result<Option<Acknowledgement>, ActivityError> {
        Ok(None)
    }

    #[activity(definition = RecordAcknowledgement)]
    async fn record(_ctx: ActivityContext, _event: RecordRef) -> Result<(), ActivityError> {
        Ok(())
    }
}
