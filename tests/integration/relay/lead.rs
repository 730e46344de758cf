//! Of several relays one does what one is to do for all, and stated bounds hold for all
//! of them together.

use mongodb::bson::{DateTime, Document, doc};
use uuid::Uuid;

use crate::harness::{App, Options, binary, eventually};

/// The relays of these tests.
const RELAYS: [&str; 2] = ["relay", "relay-2"];
const UNSENT_MAX: usize = 20;

/// What the leader asks MongoDB, and what it asks Temporal.
const FIGURES: [&str; 2] =
    ["registrations_in_stage{stage=\"PENDING\"} ", "workflows_unknown{why=\"no_row\"} "];

impl App {
    /// How many registrations are PENDING and how many workflows nobody owns, as a relay
    /// says; a figure that it does not know is absent.
    async fn figures_by(&self, relay: &str) -> Option<[Option<u64>; 2]> {
        let url = format!("{}/metrics", self.url(relay));
        let text = self.http.get(url).send().await.ok()?.text().await.ok()?;
        let figure =
            |name| text.lines().find_map(|line: &str| line.strip_prefix(name)?.parse().ok());
        Some(FIGURES.map(figure))
    }

    async fn says(&self, relay: &str, figure: Option<u64>) {
        eventually(&format!("{relay} says {figure:?}"), async || {
            match self.figures_by(relay).await {
                seen if seen == Some([figure; 2]) => Ok(()),
                seen => Err(seen),
            }
        })
        .await;
    }
}

fn row() -> Document {
    let (event, user) = (binary(Uuid::now_v7()), binary(Uuid::new_v4()));
    doc! {
        "_id": event, "aggregateType": "User", "aggregateId": user,
        "eventType": "USER_REGISTERED", "schemaVersion": 1,
        "payload": { "userId": user, "email": "many@example.com" }, "status": "PENDING",
        "createdAt": DateTime::now(), "nextAttemptAt": DateTime::now(), "startedAt": null,
        "sentAt": null, "acknowledgedAt": null, "attempts": 0,
    }
}

#[tokio::test]
async fn one_relay_looks_for_all_and_another_takes_over() {
    let app = App::prepare_on_shared(Options::only(&[]).and("relay-2", "relay")).await;
    app.component("relay").start().await.unwrap();
    app.says("relay", Some(0)).await;
    app.component("relay-2").start().await.unwrap();
    let relays = app.auth_database().await.collection::<Document>("relays");
    eventually("both are there", async || {
        let place = relays.find_one(doc! { "_id": "outbox" }).await.unwrap().unwrap();
        match place.get_document("seen").unwrap().len() {
            2 => Ok(()),
            _ => Err(place),
        }
    })
    .await;
    assert_eq!(app.figures_by("relay-2").await, Some([None; 2]), "it does not lead");
    // A relay that has died does not say so.
    app.component("relay").freeze().await.unwrap();
    app.says("relay-2", Some(0)).await;
    app.component("relay").thaw().await.unwrap();
    app.says("relay", None).await;
    // A relay that stops leaves the lead to the other.
    app.component("relay-2").stop().await.unwrap();
    app.says("relay", Some(0)).await;
    app.remove().await;
}

#[tokio::test]
async fn no_more_is_under_way_than_stated_for_all_relays_together() {
    let options = Options::only(&["auth"])
        .with("RELAY_UNSENT_MAX", &UNSENT_MAX.to_string())
        .and("relay-2", "relay")
        .apart(&RELAYS);
    let app = App::start_with(options).await;
    for relay in RELAYS {
        app.component(relay).start().await.unwrap();
    }
    let relays = app.auth_database().await.collection::<Document>("relays");
    eventually("the leader counts for both", async || {
        let place = relays.find_one(doc! { "_id": "outbox" }).await.unwrap();
        let counted = place.as_ref().is_some_and(|place| place.contains_key("countedAt"));
        if counted { Ok(()) } else { Err(place) }
    })
    .await;
    let rows: Vec<Document> = (0..200).map(|_| row()).collect();
    app.outbox().await.insert_many(rows).await.unwrap();
    let full = async |relay: &str| app.counter(relay, "relay_room_full", "").await == 1;
    eventually("there is no room", async || {
        if full(RELAYS[0]).await && full(RELAYS[1]).await { Ok(()) } else { Err("there is room") }
    })
    .await;
    let started = eventually("all starts are noted", async || {
        let open = app.open_workflows().await;
        let noted = doc! { "startedAt": { "$type": "date" } };
        match app.outbox().await.count_documents(noted).await.unwrap() {
            noted if noted == open as u64 => Ok(open),
            noted => Err((noted, open)),
        }
    })
    .await;
    assert!(started <= UNSENT_MAX + UNSENT_MAX / 2, "{started} are under way");
    app.remove().await;
}
