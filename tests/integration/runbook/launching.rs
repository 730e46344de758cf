//! `onboard up` that does not come up.

use std::net::TcpListener;

use super::Watched;
use crate::harness::{Entry, Operated, eventually, text};

/// The person corrects the environment and starts again.
const AGAIN: &str = "onboard up --ports free > up.log 2>&1 &";

async fn says(operated: &Operated, what: &str, script: &str) {
    eventually(what, async || match operated.sh(script, &[]).await {
        told if told.status.success() => Ok(()),
        told => Err(text(&told)),
    })
    .await;
}

#[tokio::test]
async fn what_keeps_a_stack_from_coming_up_is_named() {
    let operated = Operated::alone();
    let taken = Entry::named("A port is taken");
    // Held by this test, or by somebody else: taken either way.
    let held = TcpListener::bind("127.0.0.1:4001");
    operated.run(&taken, "Check", &[]).await;
    operated.run(&taken, "Fix", &[]).await;
    operated.comes_true(&taken, "Verify", &[]).await;
    drop(held);
    operated.run(&Entry::named("A service exits with 64"), "Fix", &[]).await;

    let wrong = Entry::named("A service exits with 64");
    says(&operated, "nothing runs any more", "! onboard env").await;
    operated.sh(&format!("RELAY_SWEEP_INTERVAL=soon {AGAIN}"), &[]).await;
    says(&operated, "its ports are known", "onboard env").await;
    let servers = "test \"$(onboard status | grep -cE '^(mongo|rabbitmq|temporal) +ready')\" = 3";
    says(&operated, "its servers are ready", servers).await;
    let prometheus = Watched::beside(&operated).await;
    assert!(wrong.alerts().contains(&"ServiceDown".to_owned()));
    prometheus.fires("ServiceDown").await;
    operated.comes_true(&wrong, "Check", &[("SERVICE", "relay")]).await;
    let said = std::fs::read_to_string(operated.log("relay")).unwrap();
    assert!(said.contains("RELAY_SWEEP_INTERVAL"), "the log names the setting: {said}");
    operated.run(&wrong, "Fix", &[("SERVICE", "relay")]).await;
    operated.sh(AGAIN, &[]).await;
    operated.comes_true(&wrong, "Verify", &[]).await;
    prometheus.ends("ServiceDown").await;
    operated.sh("onboard down", &[]).await;
}
