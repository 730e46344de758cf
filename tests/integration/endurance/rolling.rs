//! The build before the delivery to several consumers, and today's, on the same
//! servers: one service after the other is upgraded while people register, then
//! worker and relay go back and forth once more, and at last the setting is
//! switched on. Either build finishes what the other one began.

use std::path::Path;
use std::time::Duration;

use mongodb::bson::Document;
use onboard_contract::EventId;
use onboard_events::TodoId;
use onboard_stack::Server;
use serde_json::json;

use super::released;
use crate::harness::{
    App, Crm, Load, Options, Places, eventually, is_in, own_servers, reference, text,
};

/// One registration beside those that the test waits for.
const INTERVAL: Duration = Duration::from_secs(2);
const EXPECTING_CRM: (&str, &str) = ("EXTRA_CONSUMERS", "crm:USER_REGISTERED");
const OLD: [(&str, &str); 4] =
    [("auth-old", "auth"), ("relay-old", "relay"), ("worker-old", "worker"), ("todo-old", "todo")];

#[tokio::test]
async fn this_build_and_the_one_before_finish_what_the_other_began() {
    let Some(program) = released::program().await else { return };
    let own = own_servers(&Server::ALL).await;
    let app = App::prepare(&own, Places::of(&own), both(&program)).await;
    for (name, _) in OLD {
        app.component(name).start().await.unwrap();
    }
    let upgrade = Box::pin(all_but_auth_are_upgraded(&app));
    let before = Load::during(&app, &["auth-old"], INTERVAL, upgrade).await;
    app.component("auth").start().await.unwrap();
    let beside = Box::pin(two_auths_answer(&app));
    let beside = Load::during(&app, &["auth-old", "auth"], INTERVAL, beside).await;
    app.component("auth-old").stop().await.unwrap();
    let back = Box::pin(worker_and_relay_go_back_and_forth(&app));
    let after = Load::during(&app, &["auth"], INTERVAL, back).await;
    for load in [before, beside, after] {
        assert_eq!((load.refused, load.unanswered), (0, 0));
        assert!(!load.acknowledged.is_empty(), "people have registered meanwhile");
        app.all_are_there(&load).await;
    }
    app.is_clean().await;
    crm_is_added(&app).await;
    app.is_clean().await;
    app.finish().await;
}

/// Each service of both builds, and today's once more with the setting.
fn both(program: &Path) -> Options {
    let (setting, value) = EXPECTING_CRM;
    let today = Options::default()
        .in_the_released_plan()
        .built_by("setup", program)
        .and("worker-crm", "worker")
        .with_for("worker-crm", setting, value)
        .and("auth-crm", "auth")
        .with_for("auth-crm", setting, value);
    OLD.into_iter()
        .fold(today, |options, (name, service)| options.and(name, service).built_by(name, program))
}

/// `setup`, todo, worker, relay.
async fn all_but_auth_are_upgraded(app: &App) {
    ends(app, registers(app, "auth-old").await).await;
    let setup = app.onboard(&["setup"]).await;
    assert!(setup.status.success(), "{}", text(&setup));
    ends(app, registers(app, "auth-old").await).await;

    replace(app, "todo-old", "todo").await;
    ends(app, registers(app, "auth-old").await).await;

    // The new worker finishes what the old one began.
    app.component("todo").stop().await.unwrap();
    let begun = registers(app, "auth-old").await;
    is_sent(app, begun).await;
    replace(app, "worker-old", "worker").await;
    app.component("todo").start().await.unwrap();
    let row = ends(app, begun).await;
    assert!(row.get_document("acknowledgements").unwrap().contains_key("todo"), "{row}");

    replace(app, "relay-old", "relay").await;
    ends(app, registers(app, "auth-old").await).await;
}

/// Each tells of what was registered at the other.
async fn two_auths_answer(app: &App) {
    for registered_at in ["auth-old", "auth"] {
        let event = registers(app, registered_at).await;
        ends(app, event).await;
        for auth in ["auth-old", "auth"] {
            let url = format!("{}/api/v1/registrations/{event}", app.url(auth));
            // auth reads what the majority has, a moment after the test has read it.
            eventually(&format!("{auth} tells of the acknowledgement"), async || {
                let told = app.http.get(&url).send().await.unwrap();
                let told: serde_json::Value = told.json().await.unwrap();
                if is_in(&told, "ACKNOWLEDGED") { Ok(()) } else { Err(told) }
            })
            .await;
        }
    }
}

/// One step back, and forward again.
async fn worker_and_relay_go_back_and_forth(app: &App) {
    // The old worker finishes what the new one began.
    app.component("todo").stop().await.unwrap();
    let begun = registers(app, "auth").await;
    is_sent(app, begun).await;
    for (new, old) in [("worker", "worker-old"), ("relay", "relay-old")] {
        replace(app, new, old).await;
    }
    app.component("todo").start().await.unwrap();
    let row = ends(app, begun).await;
    assert!(!row.contains_key("acknowledgements"), "a released build records less: {row}");
    ends(app, registers(app, "auth").await).await;

    for name in ["worker", "relay"] {
        app.component(name).start().await.unwrap();
    }
    for _ in 0..4 {
        ends(app, registers(app, "auth").await).await;
    }
    for name in ["worker-old", "relay-old"] {
        app.component(name).stop().await.unwrap();
    }
    ends(app, registers(app, "auth").await).await;
}

/// The setting, for `setup`, then the worker, then auth.
async fn crm_is_added(app: &App) {
    let (setting, value) = EXPECTING_CRM;
    let setup = app.command(&["setup"]).env(setting, value).output().await.unwrap();
    assert!(setup.status.success(), "{}", text(&setup));
    replace(app, "worker", "worker-crm").await;
    replace(app, "auth", "auth-crm").await;
    let event = registers(app, "auth-crm").await;
    is_sent(app, event).await;
    eventually("the run awaits crm alone", async || {
        let progress = app.progress(event).await;
        if progress["awaited"] == json!(["crm"]) { Ok(()) } else { Err(progress) }
    })
    .await;
    assert!(app.row(event).await.get_datetime("acknowledgedAt").is_err(), "crm has not");
    let crm = Crm::start(app).await;
    let row = ends(app, event).await;
    let all = row.get_document("acknowledgements").unwrap();
    let welcome = TodoId::welcome(app.registered_user(event).await).to_string();
    for (name, expected) in [("todo", welcome), ("crm", reference(event))] {
        assert_eq!(all.get_document(name).unwrap().get_str("ref").unwrap(), expected, "{row}");
    }
    crm.stop().await;
}

/// One process takes over from another; for a moment both run.
async fn replace(app: &App, leaving: &str, coming: &str) {
    app.component(coming).start().await.unwrap();
    app.component(leaving).stop().await.unwrap();
}

async fn registers(app: &App, auth: &str) -> EventId {
    app.try_register(auth).await.expect("auth answers").expect("auth accepts")
}

async fn is_sent(app: &App, event: EventId) {
    eventually(&format!("{event} is SENT"), async || {
        let row = app.row(event).await;
        if row.get_str("status").unwrap() == "SENT" { Ok(()) } else { Err(row) }
    })
    .await;
}

/// Waits until the registration is acknowledged, with its one todo.
async fn ends(app: &App, event: EventId) -> Document {
    let row = eventually(&format!("{event} is acknowledged"), async || {
        let row = app.row(event).await;
        if row.get_datetime("acknowledgedAt").is_ok() { Ok(row) } else { Err(row) }
    })
    .await;
    assert_eq!(app.todos_of(app.registered_user(event).await).await, 1);
    row
}
