//! RabbitMQ is there and does not take messages.

use super::Watched;
use crate::harness::Entry;

async fn memory_is_short(watched: &Watched) {
    let entry = Entry::named("RabbitMQ blocks publishers");
    watched.breaks("rabbitmqctl -q set_vm_memory_high_watermark absolute 1MB").await;
    let id = watched.register().await;
    watched.alarmed(&entry, "BrokerBlocked").await;
    watched.follow(&entry, &[("ID", &id)]).await;
    watched.prometheus.ends("BrokerBlocked").await;
}

/// As a lost majority leaves it: the queue is known, and nobody leads it.
async fn nobody_leads_the_queue(watched: &Watched) {
    let entry = Entry::named("The queue has no leader");
    let stop = "ra:stop_server(quorum_queues, {'%2F_user_registered_queue', node()}).";
    watched.breaks(&format!("rabbitmqctl -q eval \"{stop}\"")).await;
    let id = watched.register().await;
    watched.reaches(&id, "STARTED").await;
    watched.ages(&id, "startedAt").await;
    watched.alarmed(&entry, "RegistrationsNotPublished").await;
    watched.follow(&entry, &[]).await;
    watched.prometheus.ends("RegistrationsNotPublished").await;
    watched.reaches(&id, "ACKNOWLEDGED").await;
}

#[tokio::test]
async fn a_broker_that_takes_no_messages_is_named_and_mended() {
    let watched = Watched::up(&[]).await;
    memory_is_short(&watched).await;
    nobody_leads_the_queue(&watched).await;
    watched.down().await;
}
