//! Registrations that wait: for Temporal, for RabbitMQ, for the todo service.

use std::time::Duration;

use mongodb::bson::{DateTime, doc};

use super::Watched;
use super::watched::REASON;
use crate::harness::Entry;

async fn the_relay_waits_for_temporal(watched: &Watched) {
    let entry = Entry::named("Rows stay PENDING");
    watched.breaks("onboard stop temporal").await;
    let id = watched.register().await;
    watched.ages(&id, "createdAt").await;
    watched.alarmed(&entry, "RegistrationsNotStarted").await;
    watched.follow(&entry, &[("ID", &id)]).await;
    watched.prometheus.ends("RegistrationsNotStarted").await;
}

async fn a_row_is_quarantined(watched: &Watched) {
    let entry = Entry::named("A row is quarantined");
    watched.breaks("onboard stop relay").await;
    let id = watched.register().await;
    let now = DateTime::now();
    let later = DateTime::from_millis(now.timestamp_millis() + 3_600_000);
    let refused = doc! { "quarantinedAt": now, "nextAttemptAt": later,
    "lastError": "Temporal refused to start the workflow" };
    watched.spoil(&id, doc! { "$set": refused }).await;
    watched.ages(&id, "createdAt").await;
    watched.breaks("onboard start relay").await;
    watched.alarmed(&entry, "RegistrationsQuarantined").await;
    // It pages nobody: the next who waits for Temporal must be heard.
    assert!(watched.prometheus.firing("RegistrationsNotStarted").await.is_empty());
    watched.follow(&entry, &[("ID", &id), REASON]).await;
    watched.prometheus.ends("RegistrationsQuarantined").await;
}

async fn the_worker_waits_for_rabbitmq(watched: &Watched) {
    let entry = Entry::named("Workflows wait in publish");
    watched.breaks("onboard stop rabbitmq").await;
    let id = watched.register().await;
    watched.reaches(&id, "STARTED").await;
    watched.ages(&id, "startedAt").await;
    watched.alarmed(&entry, "RegistrationsNotPublished").await;
    watched.follow(&entry, &[("ID", &id)]).await;
    watched.prometheus.ends("RegistrationsNotPublished").await;
}

async fn nobody_consumes(watched: &Watched) {
    let entry = Entry::named("Registrations are STALLED");
    watched.breaks("onboard stop todo").await;
    let id = watched.register().await;
    watched.reaches(&id, "SENT").await;
    watched.ages(&id, "sentAt").await;
    watched.alarmed(&entry, "RegistrationsStalled").await;
    watched.follow(&entry, &[("ID", &id), REASON]).await;
    watched.prometheus.ends("RegistrationsStalled").await;
}

async fn another_program_does_not_acknowledge(watched: &Watched) {
    let entry = Entry::named("A consumer of another program does not acknowledge");
    watched.breaks("EXTRA_CONSUMERS=crm:USER_REGISTERED onboard setup\nonboard stop relay").await;
    let id = watched.register().await;
    // As auth writes the row with this setting.
    watched.spoil(&id, doc! { "$set": { "expects": ["todo", "crm"] } }).await;
    watched.breaks("onboard start relay").await;
    watched.reaches(&id, "SENT").await;
    watched.ages(&id, "sentAt").await;
    watched.alarmed(&entry, "RegistrationsStalled").await;
    watched.ages_by(&id, "createdAt", Duration::from_mins(20)).await;
    watched.alarmed(&entry, "ConsumerBehind").await;
    let behind = watched.prometheus.firing("ConsumerBehind").await;
    assert!(behind.iter().any(|one| one["metric"]["consumer"] == "crm"), "{behind:?}");
    let variables = [("ID", id.as_str()), ("CONSUMER", "crm"), REASON];
    watched.check(&entry, &variables).await;
    watched.operated.run(&entry, "Fix", &variables).await;
    // The person has mended the program, too.
    let acknowledged = serde_json::json!({ "eventId": id, "consumer": "crm", "ref": "c-1" });
    watched.publishes_to("acknowledgements", "crm", &acknowledged.to_string()).await;
    watched.operated.comes_true(&entry, "Verify", &variables).await;
    watched.prometheus.ends("RegistrationsStalled").await;
    watched.prometheus.ends("ConsumerBehind").await;
}

#[tokio::test]
async fn what_waits_is_found_and_goes_on() {
    let watched = Watched::up(&[]).await;
    the_relay_waits_for_temporal(&watched).await;
    a_row_is_quarantined(&watched).await;
    the_worker_waits_for_rabbitmq(&watched).await;
    nobody_consumes(&watched).await;
    another_program_does_not_acknowledge(&watched).await;
    watched.down().await;
}
