//! Operations on the services: nobody who was answered with 201 is lost.

use super::SOON;
use crate::harness::{Entry, Operated};

#[tokio::test]
async fn services_are_deployed_rolled_back_and_drained_while_people_register() {
    let operated = Operated::up(&SOON).await;
    operated
        .under_load(async {
            drop(operated.performs(&Entry::named("Deploy a new version"), &[]).await);
        })
        .await;
    operated
        .under_load(async { drop(operated.performs(&Entry::named("Roll back"), &[]).await) })
        .await;
    for service in ["worker", "relay", "todo", "auth"] {
        let variables = [("SERVICE", service)];
        let entry = Entry::named("Drain a service");
        let drain = operated.performs(&entry, &variables);
        operated.under_load(async { drop(drain.await) }).await;
    }
    operated.down().await;
}

#[tokio::test]
async fn keys_and_the_secret_are_changed() {
    let operated = Operated::up(&[]).await;
    operated.performs(&Entry::named("Rotate the signing keys"), &[]).await;
    let new = operated.dir().join("new-secret");
    std::fs::write(&new, "b5f1c0a2d3e4958677889900aabbccddeeff00112233445566778899aabbccdd")
        .unwrap();
    let before = std::fs::read(operated.dir().join(".onboard/secret")).unwrap();
    operated
        .performs(
            &Entry::named("Change AUTH_SECRET"),
            &[("NEW_SECRET_FILE", &new.display().to_string())],
        )
        .await;
    assert_ne!(std::fs::read(operated.dir().join(".onboard/secret")).unwrap(), before);
    operated.registered(1, "ACKNOWLEDGED").await;
    operated.down().await;
}
