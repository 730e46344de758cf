//! The quick steps run inside workflow tasks: short histories, and the same
//! guarantees as before.

use futures::TryStreamExt;
use futures::future::join_all;
use mongodb::Collection;
use mongodb::bson::{Document, Timestamp, doc};
use onboard_contract::EventId;
use onboard_mongo::{Field, StoreError};
use onboard_outbox::{MarkedSent, Record, Recorded, Row};
use onboard_stack::Server;
use serde_json::Value;
use temporalio_client::WorkflowExecutionStatus;
use temporalio_common::protos::temporal::api::enums::v1::EventType;
use temporalio_common::protos::temporal::api::history::v1::HistoryEvent;
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;

use crate::harness::{App, Options, Proxy, eventually};

/// The acknowledgement comes while the workflow waits for it: 20 events. It
/// comes before the mark is decided on: 15, and it cannot come otherwise.
#[tokio::test]
async fn in_the_released_plan_a_plain_registration_takes_at_most_20_events_and_3_workflow_tasks() {
    let app = App::start_with(Options::default().in_the_released_plan()).await;
    for history in plain(&app).await {
        let tasks = count(&history, EventType::WorkflowTaskCompleted);
        assert!(history.len() <= 20 && tasks <= 3, "{tasks} tasks, {:#?}", names(&history));
        assert_eq!(count(&history, EventType::ActivityTaskScheduled), 1, "{:#?}", names(&history));
        let steps = markers(&history).into_iter().map(|(step, ..)| step).collect::<Vec<_>>();
        assert_eq!(steps, ["mark_outbox_sent", "record_acknowledgement"]);
    }
    app.finish().await;
}

/// The publish is inside the first workflow task, too. When it takes too long
/// there, or the acknowledgement comes late, there are more.
#[tokio::test]
async fn a_plain_registration_takes_14_events_and_2_workflow_tasks() {
    let app = App::start().await;
    let id = app.register().await;
    app.reaches(id, "ACKNOWLEDGED").await;
    let started = app.history(id).await.into_iter().next().unwrap();
    let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) = started.attributes
    else {
        panic!("it begins with its start");
    };
    let input: Value = serde_json::from_slice(&started.input.unwrap().payloads[0].data).unwrap();
    assert_eq!(input["delivery"]["consumers"], serde_json::json!(["todo"]));
    let histories = plain(&app).await;
    let cheap = |history: &&Vec<HistoryEvent>| {
        let tasks = count(history, EventType::WorkflowTaskCompleted);
        let steps = markers(history).into_iter().map(|(step, ..)| step).collect::<Vec<_>>();
        (history.len(), tasks) == (14, 2)
            && steps == ["publish_user_registered", "mark_outbox_sent", "record_acknowledgement"]
    };
    let seen: Vec<_> = histories.iter().map(|history| names(history)).collect();
    assert!(histories.iter().any(|history| cheap(&history)), "{seen:#?}");
    app.finish().await;
}

/// Five commits write seven documents: user and row, SENT, inbox record and todo, the
/// inbox record acknowledged, the row acknowledged. The relay writes nothing.
#[tokio::test]
async fn a_plain_registration_takes_5_commits_and_7_documents() {
    let app = App::start_with(Options::default().apart(&["relay"])).await;
    let warm = app.register().await;
    app.reaches(warm, "ACKNOWLEDGED").await;
    let mut begins = Vec::new();
    for _ in 0..5 {
        app.nothing_is_left().await;
        begins.push(written_last(&app).await);
        let id = app.register().await;
        app.reaches(id, "ACKNOWLEDGED").await;
    }
    app.nothing_is_left().await;
    // Notes what is to be noted.
    app.component("relay").stop().await.unwrap();
    begins.push(written_last(&app).await);
    let mut costs = Vec::new();
    for between in begins.windows(2) {
        costs.push(written(&app, between[0], between[1]).await);
    }
    costs.sort_unstable();
    eprintln!("(commits, documents) of each: {costs:?}");
    assert_eq!(costs[2], (5, 7), "half of them: {costs:?}");
    app.component("relay").start().await.unwrap();
    app.finish().await;
}

/// When MongoDB has last written something.
async fn written_last(app: &App) -> Timestamp {
    let last = oplog(app).await.find_one(doc! {}).sort(doc! { "$natural": -1 }).await;
    last.unwrap().unwrap().get_timestamp("ts").unwrap()
}

/// How many commits there were between, and how many documents of services they wrote.
async fn written(app: &App, begin: Timestamp, end: Timestamp) -> (usize, usize) {
    let between = doc! { "ts": { "$gt": begin, "$lte": end } };
    let entries: Vec<Document> =
        oplog(app).await.find(between).await.unwrap().try_collect().await.unwrap();
    let own = |entry: &Document| {
        let of = entry.get_str("ns").unwrap_or_default();
        of.contains(&format!("-{}.", app.names)) && !of.ends_with(".relays")
    };
    let documents =
        |entry: &Document| match entry.get_document("o").map(|o| o.get_array("applyOps")) {
            Ok(Ok(all)) => {
                all.iter().filter_map(|one| one.as_document()).filter(|one| own(one)).count()
            }
            _ => usize::from(own(entry)),
        };
    let commits: Vec<usize> = entries.iter().map(documents).filter(|of| *of > 0).collect();
    (commits.len(), commits.iter().sum())
}

async fn oplog(app: &App) -> Collection<Document> {
    app.auth_database().await.client().database("local").collection("oplog.rs")
}

/// The broker is away: the try inside gives up at once, and a pending activity
/// shows what is waited for. When it is back, the next publish is inside again.
#[tokio::test]
async fn a_broker_that_is_away_at_the_publish_is_waited_for_in_the_open() {
    let proxy = Proxy::before(Server::Rabbitmq).await;
    let options = Options::default().amqp_through("worker", &proxy);
    let app = App::start_with(options).await;
    proxy.refuse(true);
    proxy.cut_all();
    let id = app.register().await;
    eventually("the activity says what it meets", async || match app.pending_activity(id).await {
        Some(activity) if activity.attempt > 2 && activity.last_failure.contains("unavailable") => {
            Ok(())
        }
        other => Err(other),
    })
    .await;
    proxy.refuse(false);
    app.reaches(id, "ACKNOWLEDGED").await;
    completed(&app, id).await;
    let history = app.history(id).await;
    let first = markers(&history).remove(0);
    assert_eq!(
        (first.0.as_str(), first.1),
        ("publish_user_registered", 1),
        "it was tried inside once"
    );
    assert!(first.2.is_some_and(|failure| failure.contains("an activity of its own")));
    assert_eq!(count(&history, EventType::ActivityTaskScheduled), 1, "{:#?}", names(&history));
    eventually("a publish is inside again", async || {
        let id = app.register().await;
        app.reaches(id, "ACKNOWLEDGED").await;
        match markers(&app.history(id).await).remove(0) {
            (step, _, None) if step == "publish_user_registered" => Ok(()),
            other => Err(other),
        }
    })
    .await;
    app.finish().await;
}

/// The histories of eight plain registrations that came at once.
async fn plain(app: &App) -> Vec<Vec<HistoryEvent>> {
    let mut histories = Vec::new();
    for id in join_all((0..8).map(|_| app.register())).await {
        app.reaches(id, "ACKNOWLEDGED").await;
        completed(app, id).await;
        histories.push(app.history(id).await);
    }
    histories
}

#[tokio::test]
async fn a_stage_that_lasts_is_visible() {
    let app = App::start_with(Options::only(&["auth", "relay", "worker"])).await;
    let id = app.register().await;
    for (stage, service) in [("SENT", Some("todo")), ("ACKNOWLEDGED", None)] {
        app.reaches(id, stage).await;
        eventually("the search attribute says so", async || {
            match app.workflows_where(&format!("RegistrationStage = '{stage}'")).await {
                1 => Ok(()),
                found => Err(found),
            }
        })
        .await;
        if let Some(service) = service {
            app.component(service).start().await.unwrap();
        }
    }
    app.finish().await;
}

/// The first tries, inside the workflow task, leave a marker; then a pending
/// activity shows the attempts and their cause, as long as it takes.
#[tokio::test]
async fn a_mongodb_that_is_away_at_the_mark_is_waited_for_in_the_open() {
    let app = App::start_with(Options::default().failing("worker")).await;
    let away = doc! { "failCommands": ["update"], "errorCode": 91 };
    let point = app.fail_commands(doc! { "times": i32::MAX }, away).await;
    let id = app.register().await;
    eventually("the activity is tried for 20 s, and says what it meets", async || {
        match app.pending_activity(id).await {
            // After 0, 1, 3, 7 and 15 s. A try that is cut off has another message.
            Some(activity)
                if activity.attempt > 4
                    && activity.last_failure.contains("MongoDb")
                    && activity.last_failure.contains("91") =>
            {
                Ok(())
            }
            other => Err(other),
        }
    })
    .await;
    point.off().await;
    app.reaches(id, "ACKNOWLEDGED").await;
    completed(&app, id).await;
    let history = app.history(id).await;
    assert_eq!(
        count(&history, EventType::WorkflowTaskTimedOut)
            + count(&history, EventType::WorkflowTaskFailed),
        0,
        "{:#?}",
        names(&history)
    );
    assert!(history.len() <= 30, "no task was prolonged: {:#?}", names(&history));
    let mark = markers(&history).into_iter().find(|(step, ..)| step == "mark_outbox_sent").unwrap();
    assert_eq!(mark.1, 2, "it was tried twice inside");
    assert!(mark.2.is_some(), "the marker says that it failed there");
    app.finish().await;
}

/// A try inside a workflow task does not take a missing row for final.
#[tokio::test]
async fn a_row_that_is_missing_at_the_end_fails_the_workflow_only_outside_its_task() {
    let options = Options::only(&["auth", "relay", "worker"]);
    let app = App::start_with(options.with("OUTBOX_ROW_MISSING_AFTER", "0s")).await;
    let id = app.register().await;
    app.reaches(id, "SENT").await;
    let row = app.row(id).await;
    let this = doc! { "_id": row.get("_id").unwrap() };
    app.outbox().await.delete_one(this.clone()).await.unwrap();
    app.component("todo").start().await.unwrap();
    eventually("the workflow has failed", async || match app.workflow(id).await {
        Some(WorkflowExecutionStatus::Failed) => Ok(()),
        status => Err(status),
    })
    .await;
    assert_eq!(app.failure_type(id).await, "OutboxRowMissing");
    let history = app.history(id).await;
    let last = markers(&history).pop().unwrap();
    assert_eq!(last.0, "record_acknowledgement");
    assert!(last.2.is_some(), "the try inside failed");
    assert_eq!(count(&history, EventType::ActivityTaskScheduled), 1, "the record");
    app.outbox().await.insert_one(row).await.unwrap();
    app.remove().await;
}

/// One command for many, and each gets the answer for its own row.
#[tokio::test]
async fn marks_and_records_that_meet_share_a_command() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let ids = join_all((0..60).map(|_| app.register())).await;
    let outbox = app.mongo().await.deliveries().clone();
    let database = app.auth_database().await;
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    let marked = join_all(ids.iter().map(|id| outbox.mark_sent(*id))).await;
    assert!(marked.iter().all(|found| matches!(found, Ok(MarkedSent::Now))), "{marked:?}");
    let record = |event: &EventId| Record {
        event: *event,
        consumer: onboard_events::TODO,
        reference: Some(format!("of {event}")),
    };
    let recorded = join_all(ids.iter().map(|id| outbox.record_acknowledged(record(id)))).await;
    assert!(recorded.iter().all(|found| matches!(found, Ok(Recorded::Done))), "{recorded:?}");
    database.run_command(doc! { "profile": 0 }).await.unwrap();
    let profile = database.collection::<Document>("system.profile");
    let updates = doc! { "op": "update", "ns": format!("auth-{}.outbox", app.names) };
    let commands = profile.count_documents(updates).await.unwrap();
    assert!((2..=12).contains(&commands), "{commands} commands for 120 updates");
    assert_eq!(app.unfinished_rows().await, 0);
    for id in &ids {
        let row = Row::read(&app.row(*id).await);
        let all = row.acknowledgements.known().unwrap();
        let own = all.get("todo").unwrap().reference.clone();
        assert_eq!(own, Field::Is(format!("of {id}")), "each row has its own");
    }
    app.remove().await;
}

#[tokio::test]
async fn one_row_of_a_group_does_not_harm_the_others() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let ids = join_all((0..12).map(|_| app.register())).await;
    let outbox = app.mongo().await.deliveries().clone();
    let before = outbox.mark_sent(ids[0]).await.unwrap();
    assert_eq!(before, MarkedSent::Now);
    let sent_at = *app.row(ids[0]).await.get_datetime("sentAt").unwrap();
    // The validator refuses whatever is done to this one.
    let strict = doc! { "collMod": "outbox", "validationLevel": "strict" };
    app.auth_database().await.run_command(strict).await.unwrap();
    let broken = doc! { "_id": app.row(ids[1]).await.get("_id").unwrap() };
    let damage = app.outbox().await;
    let damage = damage.update_one(broken, doc! { "$set": { "eventType": 7 } });
    damage.bypass_document_validation(true).await.unwrap();
    let missing = EventId::from(uuid::Uuid::from_u128(7));
    let asked: Vec<EventId> = ids.iter().copied().chain([missing]).collect();
    let answers = join_all(asked.iter().map(|id| outbox.mark_sent(*id))).await;
    for (at, answer) in answers.iter().enumerate() {
        let own = match at {
            0 => matches!(answer, Ok(MarkedSent::Already)),
            1 => matches!(answer, Err(StoreError::Refused { .. })),
            12 => matches!(answer, Ok(MarkedSent::Missing)),
            // Done by the group before it was taken apart, or after.
            _ => matches!(answer, Ok(MarkedSent::Now | MarkedSent::Already)),
        };
        assert!(own, "row {at}: {answer:?}");
    }
    let sent = app.outbox().await.count_documents(doc! { "status": "SENT" }).await.unwrap();
    assert_eq!(sent, 11, "all but the refused one");
    assert_eq!(*app.row(ids[0]).await.get_datetime("sentAt").unwrap(), sent_at);
    app.remove().await;
}

async fn completed(app: &App, id: EventId) {
    eventually("the workflow has completed", async || match app.workflow(id).await {
        Some(WorkflowExecutionStatus::Completed) => Ok(()),
        status => Err(status),
    })
    .await;
}

fn count(history: &[HistoryEvent], kind: EventType) -> usize {
    history.iter().filter(|event| event.event_type() == kind).count()
}

fn names(history: &[HistoryEvent]) -> Vec<&'static str> {
    history.iter().map(|event| event.event_type().as_str_name()).collect()
}

/// Of each local activity: its type, its attempts, and how it failed.
fn markers(history: &[HistoryEvent]) -> Vec<(String, u64, Option<String>)> {
    let markers = history.iter().filter_map(|event| match event.attributes.as_ref()? {
        Attributes::MarkerRecordedEventAttributes(marker) => Some(marker),
        _ => None,
    });
    let read = markers.map(|marker| {
        assert_eq!(marker.marker_name, "core_local_activity");
        let data = &marker.details.get("data").unwrap().payloads[0].data;
        let data: Value = serde_json::from_slice(data).unwrap();
        let failure = marker.failure.as_ref().map(|failure| format!("{failure:?}"));
        let step = data["activity_type"].as_str().unwrap().to_owned();
        (step, data["attempt"].as_u64().unwrap(), failure)
    });
    read.collect()
}
