//! Relays share new rows: each is started once, and what a relay leaves is the others'.

use std::time::{Duration, Instant};

use futures::future::join_all;
use mongodb::bson::doc;

use crate::harness::{App, Options, eventually, whole_machine};

const RELAYS: [&str; 3] = ["relay", "relay-2", "relay-3"];
const SWEEP: Duration = Duration::from_mins(1);

/// Three relays that do not run yet.
async fn prepared(sweep: &str) -> App {
    let options = Options::only(&["auth", "worker", "todo"])
        .with("RELAY_SWEEP_INTERVAL", sweep)
        .and("relay-2", "relay")
        .and("relay-3", "relay")
        .apart(&RELAYS);
    let app = App::prepare_on_shared(options).await;
    for service in ["auth", "worker", "todo"] {
        app.component(service).start().await.unwrap();
    }
    app
}

impl App {
    /// Starts relays and waits until each knows all of them.
    async fn relays_are(&self, relays: &[&str]) {
        join_all(relays.iter().map(async |relay| self.component(relay).start().await.unwrap()))
            .await;
        self.share_rows(relays).await;
    }

    /// Waits until each of these relays shares the rows with the others, and with no more.
    async fn share_rows(&self, relays: &[&str]) {
        eventually("the relays know each other", async || {
            let members = relays.iter().map(|relay| self.counter(relay, "relay_members", ""));
            match join_all(members).await {
                members if members.iter().all(|of| *of == relays.len() as u64) => Ok(()),
                members => Err(members),
            }
        })
        .await;
    }

    async fn of_all(&self, name: &str, label: &str) -> u64 {
        let each = RELAYS.map(|relay| self.counter(relay, name, label));
        join_all(each).await.into_iter().sum()
    }
}

/// The bound on work done twice is a tenth of the rows. Without shares each of them is
/// started by all three.
#[tokio::test]
async fn three_relays_start_each_new_row_once_and_claim_none() {
    const ROWS: u64 = 150;
    const AT_ONCE: usize = 30;
    let _machine = whole_machine().await;
    let app = prepared("1s").await;
    app.relays_are(&RELAYS).await;
    // As many at once as are started before one of them is late, also on a slow machine.
    for _ in 0..ROWS / AT_ONCE as u64 {
        app.register_many(AT_ONCE).await;
        app.nothing_is_left().await;
    }
    let claims = "relay_rows_claimed_total";
    let handed = RELAYS.map(|relay| app.counter(relay, claims, "handed_over"));
    let handed = join_all(handed).await;
    assert!(handed.iter().all(|rows| *rows > ROWS / 10), "all of them took part: {handed:?}");
    let started = app.of_all("relay_starts_total", "started").await;
    let already = app.of_all("relay_starts_total", "already").await;
    let swept = app.of_all(claims, "swept").await;
    eprintln!("{ROWS} rows: {handed:?} handed over, {swept} swept, {already} started twice");
    assert_eq!(started, ROWS);
    assert!(already <= ROWS / 10, "{already} of {ROWS} were started again");
    assert!(swept <= ROWS / 10, "{swept} of {ROWS} were claimed");
    app.every_registration_has_one_workflow().await;
    app.finish().await;
}

/// With the sweep a minute away, only a relay that looks when another one is gone is quick.
#[tokio::test]
async fn the_share_of_a_relay_that_dies_is_started_by_the_others_within_seconds() {
    let app = prepared("1m").await;
    let two = &RELAYS[..2];
    app.relays_are(two).await;
    // A relay that has died does not say so.
    app.component("relay-2").freeze().await.unwrap();
    let begun = Instant::now();
    let ids = join_all((0..16).map(|_| app.register())).await;
    for id in &ids {
        app.reaches(*id, "ACKNOWLEDGED").await;
    }
    let waited = begun.elapsed();
    eprintln!("the rows of the relay that died were done after {waited:?}");
    assert!(waited < SWEEP / 2, "the sweep was waited for: {waited:?}");
    assert!(app.counter("relay", "relay_rows_claimed_total", "swept").await > 0);
    app.component("relay-2").thaw().await.unwrap();
    app.share_rows(two).await;
    // One that stops says so.
    app.component("relay").stop().await.unwrap();
    app.share_rows(&["relay-2"]).await;
    let begun = Instant::now();
    for id in join_all((0..16).map(|_| app.register())).await {
        app.reaches(id, "ACKNOWLEDGED").await;
    }
    assert!(begun.elapsed() < SWEEP / 2, "{:?}", begun.elapsed());
    app.every_registration_has_one_workflow().await;
    app.finish().await;
}

/// Nothing else depends on the shares: whatever the relays believe, each row is started,
/// and there is one workflow for it.
#[tokio::test]
async fn relays_that_come_and_go_lose_no_row_and_start_none_twice() {
    let _machine = whole_machine().await;
    let app = prepared("1s").await;
    app.component("relay").start().await.unwrap();
    let changes = async {
        app.component("relay-2").start().await.unwrap();
        app.component("relay-3").start().await.unwrap();
        app.component("relay").kill().await.unwrap();
        app.component("relay-2").stop().await.unwrap();
        app.component("relay-3").kill().await.unwrap();
        app.component("relay-2").start().await.unwrap();
        app.component("relay").stop().await.unwrap();
    };
    tokio::join!(app.register_many(200), changes);
    app.nothing_is_left().await;
    app.every_registration_has_one_workflow().await;
    let unfinished = app.outbox().await.count_documents(doc! { "acknowledgedAt": null }).await;
    assert_eq!(unfinished.unwrap(), 0);
    app.finish().await;
}
