//! Registrations that wait: for Temporal, for RabbitMQ, for the todo service.

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

#[tokio::test]
async fn what_waits_is_found_and_goes_on() {
    let watched = Watched::up(&[]).await;
    the_relay_waits_for_temporal(&watched).await;
    a_row_is_quarantined(&watched).await;
    the_worker_waits_for_rabbitmq(&watched).await;
    nobody_consumes(&watched).await;
    watched.down().await;
}
