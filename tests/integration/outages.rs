//! A server or a service is away, and comes back.

use futures::future::join_all;
use onboard::services::names;
use onboard_stack::Server;

use crate::harness::{App, Options, Places, eventually, own_servers, with_own};

#[tokio::test]
async fn scenario_1_the_broker_is_down_during_the_registration() {
    let (app, own) = with_own(Server::Rabbitmq, Options::default()).await;
    let broker = own.rabbitmq.as_ref().unwrap();
    broker.stop().await.unwrap();
    let id = app.register().await;
    eventually("the workflow waits in its publish", async || {
        match app.pending_activity(id).await {
            Some(activity) if activity.attempt > 1 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    assert_eq!(app.row(id).await.get_str("status").unwrap(), "PENDING");
    broker.start().await.unwrap();
    app.reaches(id, "ACKNOWLEDGED").await;
    app.finish().await;
}

#[tokio::test]
async fn scenario_2_the_todo_service_is_down_during_the_registration() {
    let app = App::start_with(Options::default().apart(&["todo"])).await;
    app.component("todo").stop().await.unwrap();
    let id = app.register().await;
    app.reaches(id, "SENT").await;
    assert_eq!(app.queue_depths().await, (1, 0), "the message waits");
    app.component("todo").start().await.unwrap();
    app.reaches(id, "ACKNOWLEDGED").await;
    app.finish().await;
}

#[tokio::test]
async fn temporal_is_down_during_the_registration() {
    let (app, own) = with_own(Server::Temporal, Options::default()).await;
    let temporal = own.temporal.as_ref().unwrap();
    temporal.stop().await.unwrap();
    let ids = join_all((0..10).map(|_| app.register())).await;
    eventually("the relay has tried", async || {
        let rows = app.rows_with_error().await;
        if rows > 0 { Ok(()) } else { Err(rows) }
    })
    .await;
    temporal.start().await.unwrap();
    for id in ids {
        app.reaches(id, "ACKNOWLEDGED").await;
    }
    app.finish().await;
}

/// With the overdue look an hour away, only the todo service's sweep is left.
#[tokio::test]
async fn an_acknowledgement_waits_out_temporal_in_the_inbox() {
    let options = Options::only(&["auth", "relay", "worker"]).with("REGISTRATION_OVERDUE", "1h");
    let (app, own) = with_own(Server::Temporal, options).await;
    let id = app.register().await;
    app.reaches(id, "SENT").await;
    let temporal = own.temporal.as_ref().unwrap();
    temporal.stop().await.unwrap();
    app.component("todo").request_start().await.unwrap();
    eventually("the todo exists", async || {
        match app.todos().await.count_documents(mongodb::bson::doc! {}).await.unwrap() {
            1 => Ok(()),
            todos => Err(todos),
        }
    })
    .await;
    temporal.start().await.unwrap();
    app.reaches(id, "ACKNOWLEDGED").await;
    app.finish().await;
}

#[tokio::test]
async fn without_mongodb_a_registration_is_refused_and_nothing_is_half_done() {
    let (app, own) = with_own(Server::Mongo, Options::default()).await;
    let mongo = own.mongo.as_ref().unwrap();
    mongo.stop().await.unwrap();
    let email = app.address();
    let answer = app.post_register(&email).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    // Nobody knows how many wait, so no figure says it.
    eventually("the relay says so", async || {
        let url = format!("{}/metrics", app.url("relay"));
        let text = app.http.get(url).send().await.unwrap().text().await.unwrap();
        let unknown = |line: &str| line.starts_with("registrations_") && line.ends_with(" NaN");
        match text.lines().filter(|line| unknown(line)).count() {
            9 => Ok(()),
            _ => Err(text),
        }
    })
    .await;
    mongo.start().await.unwrap();
    app.ready("auth").await;
    eventually("the address can be registered", async || {
        let status = app.post_register(&email).await.status().as_u16();
        if status == 201 { Ok(()) } else { Err(status) }
    })
    .await;
    app.finish().await;
}

#[tokio::test]
async fn services_start_before_their_servers() {
    let own = own_servers(&Server::ALL).await;
    let options = Options::default();
    let app = App::prepare(&own, Places::of(&own), options).await;
    own.stop().await.unwrap();
    for service in names() {
        app.component(service).request_start().await.unwrap();
    }
    for service in names() {
        eventually("it says that it is not ready", async || {
            let get = |path: &str| app.http.get(format!("{}{path}", app.url(service))).send();
            let live = get("/healthz").await.map_err(|e| e.to_string())?.status();
            let ready = get("/readyz").await.map_err(|e| e.to_string())?;
            let (status, body) = (ready.status(), ready.text().await.unwrap());
            if live == 200 && status == 503 && body.contains("mongo") { Ok(()) } else { Err(body) }
        })
        .await;
    }
    own.start_all().await.unwrap();
    for service in names() {
        app.ready(service).await;
    }
    let id = app.register().await;
    app.reaches(id, "ACKNOWLEDGED").await;
    app.finish().await;
}

#[tokio::test]
async fn every_server_may_be_killed_or_frozen_while_people_register() {
    let own = own_servers(&Server::ALL).await;
    let app = App::start_on(&own, Places::of(&own), Options::default().each_apart()).await;
    let pids = pids(&app);
    let mut acknowledged = Vec::new();
    for component in own.components() {
        component.freeze().await.unwrap();
        acknowledged.extend(register_some(&app).await);
        component.thaw().await.unwrap();
        acknowledged.extend(register_some(&app).await);
        component.kill().await.unwrap();
        acknowledged.extend(register_some(&app).await);
        component.ready(std::time::Duration::from_mins(1)).await.unwrap();
    }
    assert!(acknowledged.len() > 10, "most were accepted: {}", acknowledged.len());
    for id in acknowledged {
        app.reaches(id, "ACKNOWLEDGED").await;
    }
    // A 503 may still have committed; whatever is there is complete.
    app.nothing_is_left().await;
    assert_eq!(pids, self::pids(&app), "no service had to be restarted");
    app.finish().await;
}

fn pids(app: &App) -> Vec<Option<u32>> {
    names().map(|name| app.component(name).status().pid).into()
}

/// Four registrations at once; those that were answered with 201.
async fn register_some(app: &App) -> Vec<onboard_contract::EventId> {
    let addresses: Vec<String> = (0..4).map(|_| app.address()).collect();
    let answers = join_all(addresses.iter().map(|email| app.post_register(email))).await;
    let mut acknowledged = Vec::new();
    for answer in answers {
        match answer.status().as_u16() {
            201 => {
                let body: serde_json::Value = answer.json().await.unwrap();
                acknowledged.push(body["registrationId"].as_str().unwrap().parse().unwrap());
            }
            503 => (),
            other => panic!("{other}: {}", answer.text().await.unwrap()),
        }
    }
    acknowledged
}
