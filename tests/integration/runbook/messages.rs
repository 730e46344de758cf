//! What cannot go on by itself: dead letters, failed workflows, lost records.

use mongodb::bson::{DateTime, Document, doc};
use onboard_contract::EventId;
use serde_json::json;
use uuid::Uuid;

use super::Watched;
use super::watched::REASON;
use crate::harness::{Entry, binary, eventually};

async fn a_message_becomes_a_dead_letter(watched: &Watched) {
    let entry = Entry::named("Dead letters");
    let never = doc! { "$jsonSchema": { "required": ["never"] } };
    let refuse = doc! { "collMod": "todos", "validator": never, "validationLevel": "strict" };
    watched.database("todo").run_command(refuse).await.unwrap();
    let id = watched.register().await;
    watched.publishes("no event at all").await;
    watched.alarmed(&entry, "DeadLetters").await;
    eventually("both are dead letters", async || {
        let listed = watched.operated.sh("onboard list", &[]).await;
        let listed = String::from_utf8(listed.stdout).unwrap();
        let both = ["not_json", "store_rejected"].iter().all(|word| listed.contains(word));
        if both { Ok(()) } else { Err(listed) }
    })
    .await;
    watched.follow(&entry, &[("ID", &id), REASON]).await;
    watched.prometheus.ends("DeadLetters").await;
}

async fn a_workflow_fails(watched: &Watched) {
    let entry = Entry::named("A workflow has failed or is lost");
    watched.breaks("onboard stop worker").await;
    let id = watched.register().await;
    watched.reaches(&id, "STARTED").await;
    let event: EventId = id.parse().unwrap();
    let row = watched.outbox().find_one(doc! { "_id": binary(event.uuid()) }).await.unwrap();
    let payload = row.unwrap().get_document("payload").unwrap().clone();
    watched.spoil(&id, doc! { "$unset": { "payload": "" } }).await;
    watched.breaks("onboard start worker").await;
    watched.alarmed(&entry, "WorkflowsFailed").await;
    watched.check(&entry, &[("ID", &id)]).await;
    // The person puts the row right.
    watched.spoil(&id, doc! { "$set": { "payload": payload } }).await;
    watched.mend(&entry, &[("ID", &id), REASON]).await;
    watched.prometheus.ends("WorkflowsFailed").await;
}

async fn a_todo_and_its_record_are_removed(watched: &Watched) {
    let entry = Entry::named("The audit says no");
    let id = watched.register().await;
    watched.reaches(&id, "ACKNOWLEDGED").await;
    let saved = remove(watched, &id).await;
    let audit = watched.operated.sh("onboard audit --grace 0s", &[]).await;
    assert_eq!(audit.status.code(), Some(1), "{}", crate::harness::text(&audit));
    watched.check(&entry, &[("ID", &id)]).await;
    // The person restores the records from the backup.
    for (collection, record) in saved {
        watched.database("todo").collection(collection).insert_one(record).await.unwrap();
    }
    watched.mend(&entry, &[("ID", &id), REASON]).await;
}

async fn a_row_holds_a_list(watched: &Watched) {
    let entry = Entry::named("An index has held a list");
    watched.breaks("onboard stop todo").await;
    let id = watched.register().await;
    watched.reaches(&id, "SENT").await;
    watched.spoil(&id, doc! { "$set": { "startedAt": [1, 2] } }).await;
    watched.breaks("onboard start todo").await;
    let examined = watched.operated.sh("onboard doctor", &[]).await;
    assert_eq!(examined.status.code(), Some(1), "{}", crate::harness::text(&examined));
    watched.check(&entry, &[]).await;
    // The person puts the row right.
    watched.spoil(&id, doc! { "$set": { "startedAt": DateTime::now() } }).await;
    watched.reaches(&id, "ACKNOWLEDGED").await;
    watched.mend(&entry, &[]).await;
}

async fn a_workflow_does_not_belong_here(watched: &Watched) {
    let entry = Entry::named("A workflow does not belong here");
    let start = "temporal workflow start --task-queue registration --task-timeout 1s";
    watched.breaks(&format!("{start} --type Chess --workflow-id chess-1")).await;
    watched.alarmed(&entry, "WorkflowsUnknown").await;
    watched.alarmed(&entry, "WorkflowTasksFail").await;
    watched.follow(&entry, &[("WORKFLOW", "chess-1"), ("ID", "none"), REASON]).await;
    watched.prometheus.ends("WorkflowsUnknown").await;
    watched.prometheus.ends("WorkflowTasksFail").await;
}

async fn a_registration_counts_as_done_and_is_not(watched: &Watched) {
    let entry = Entry::named("A registration counts as done and is not");
    let id = watched.register().await;
    watched.reaches(&id, "ACKNOWLEDGED").await;
    // Nothing is restored: the event is delivered again.
    remove(watched, &id).await;
    watched.follow(&entry, &[("ID", &id), REASON]).await;
}

async fn an_event_id_comes_for_two_users(watched: &Watched) {
    let entry = Entry::named("An event id came for two users");
    let id = watched.register().await;
    watched.reaches(&id, "ACKNOWLEDGED").await;
    let other = Uuid::new_v4();
    let body = json!({ "eventId": id, "eventType": "USER_REGISTERED", "schemaVersion": 1,
        "payload": { "userId": other, "email": "by.hand@example.com" } });
    watched.publishes(&body.to_string()).await;
    watched.alarmed(&entry, "EventIdConflicts").await;
    let todos = watched.database("todo").collection::<Document>("todos");
    let of_other = || doc! { "userId": binary(other) };
    assert_eq!(todos.count_documents(of_other()).await.unwrap(), 1);
    watched.follow(&entry, &[("ID", &id), ("SECONDS_TO_WATCH", "1")]).await;
    watched.prometheus.ends("EventIdConflicts").await;
}

/// Removes inbox record and todo; what was there.
async fn remove(watched: &Watched, id: &str) -> Vec<(&'static str, Document)> {
    let event: EventId = id.parse().unwrap();
    let row = watched.outbox().find_one(doc! { "_id": binary(event.uuid()) }).await.unwrap();
    let user = row.unwrap().get("aggregateId").unwrap().clone();
    let mut saved = Vec::new();
    for collection in ["processed_events", "todos"] {
        let all = watched.database("todo").collection::<Document>(collection);
        let found = all.find_one_and_delete(doc! { "userId": &user }).await.unwrap();
        saved.push((collection, found.unwrap()));
    }
    saved
}

#[tokio::test]
async fn what_cannot_go_on_is_named_and_put_back_to_work() {
    let watched = Watched::up(&[]).await;
    a_message_becomes_a_dead_letter(&watched).await;
    a_workflow_fails(&watched).await;
    a_todo_and_its_record_are_removed(&watched).await;
    a_row_holds_a_list(&watched).await;
    a_workflow_does_not_belong_here(&watched).await;
    a_registration_counts_as_done_and_is_not(&watched).await;
    // Last: the audit names the conflict from now on.
    an_event_id_comes_for_two_users(&watched).await;
    watched.down().await;
}
