//! Servers and services that are away.

use std::time::Duration;

use super::Watched;
use crate::harness::Entry;

/// Registers again and again until it is dropped.
async fn registering(watched: &Watched, until: impl Future<Output = ()>) {
    let load = async {
        loop {
            let requests = (0..4).map(|_| watched.post_register());
            futures::future::join_all(requests).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        () = until => (),
        () = load => (),
    }
}

async fn mongodb_is_away(watched: &Watched) {
    let entry = Entry::named("Registration answers 503");
    watched.breaks("onboard stop mongo").await;
    let alarmed = async {
        watched.alarmed(&entry, "RegisterErrorBudgetFast").await;
        watched.alarmed(&entry, "RegisterErrorBudgetSlow").await;
    };
    registering(watched, alarmed).await;
    watched.follow(&entry, &[]).await;
    watched.prometheus.ends("RegisterErrorBudgetFast").await;
    watched.prometheus.ends("RegisterErrorBudgetSlow").await;
}

async fn a_service_is_stopped(watched: &Watched) {
    let entry = Entry::named("A service is down");
    watched.breaks("onboard stop relay").await;
    watched.alarmed(&entry, "ServiceDown").await;
    watched.follow(&entry, &[("SERVICE", "relay")]).await;
    watched.prometheus.ends("ServiceDown").await;
}

async fn a_server_is_stopped(watched: &Watched) {
    let entry = Entry::named("A server cannot be reached");
    watched.breaks("onboard stop rabbitmq").await;
    watched.alarmed(&entry, "DependencyDown").await;
    watched.follow(&entry, &[]).await;
    watched.prometheus.ends("DependencyDown").await;
}

async fn a_component_does_not_become_ready(watched: &Watched) {
    let entry = Entry::named("A component keeps restarting in `onboard up`");
    watched.breaks("onboard stop rabbitmq; onboard stop worker").await;
    watched.alarmed(&entry, "ServiceDown").await;
    watched.follow(&entry, &[("SERVICE", "worker")]).await;
    watched.prometheus.ends("ServiceDown").await;
}

#[tokio::test]
async fn what_is_away_is_named_and_comes_back() {
    let watched = Watched::up(&[]).await;
    mongodb_is_away(&watched).await;
    a_service_is_stopped(&watched).await;
    a_server_is_stopped(&watched).await;
    a_component_does_not_become_ready(&watched).await;
    watched.down().await;
}
