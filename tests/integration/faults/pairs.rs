//! Two of each service, of which one is killed or frozen.

use std::time::Duration;

use futures::future::join_all;

use crate::harness::{App, Load, Options};

/// Longer than a call may take, shorter than heartbeats and leases.
const FREEZE: Duration = Duration::from_secs(6);
const PAIRS: [(&str, &str); 4] =
    [("auth", "auth-2"), ("relay", "relay-2"), ("worker", "worker-2"), ("todo", "todo-2")];

#[tokio::test]
async fn of_two_of_each_service_one_may_be_killed_or_frozen() {
    let options = PAIRS
        .into_iter()
        .fold(Options::default().each_apart(), |options, (service, second)| {
            options.and(second, service)
        })
        .with("REGISTRATION_OVERDUE", "1h");
    let app = App::start_with(options).await;
    let faults = async {
        // One of each at the same time; the others go on.
        for picked in [PAIRS.map(|pair| pair.0), PAIRS.map(|pair| pair.1)] {
            join_all(picked.map(|name| app.component(name).kill())).await;
            join_all(picked.map(|name| app.ready(name))).await;
            join_all(picked.map(|name| app.component(name).freeze())).await;
            // Being frozen is the fault; nothing is waited for.
            tokio::time::sleep(FREEZE).await;
            join_all(picked.map(|name| app.component(name).thaw())).await;
        }
    };
    let load = Load::during(&app, &["auth", "auth-2"], Duration::from_millis(400), faults).await;
    // Who is in the middle of it when its auth is frozen for longer than a call
    // may take hears 503; the servers were there all the time.
    assert!(load.refused <= 2, "one for each freeze: {}", load.refused);
    app.all_are_there(&load).await;
    app.finish().await;
}
