//! `GET /api/v1/registrations/<id>/events`: the stages as they come.

use std::time::Duration;

use futures::TryStreamExt;
use mongodb::bson::{Document, doc};
use onboard_contract::EventId;
use onboard_stack::Server;
use reqwest::Response;
use serde_json::Value;
use uuid::Uuid;

use crate::harness::{App, Options, eventually, with_own};

/// The least time between two looks at the rows that are followed, and what a clock may
/// take from it.
const LOOKS_APART_MS: i64 = 100 - 20;

/// An open stream.
struct Followed {
    answer: Response,
    rest: String,
}

impl Followed {
    async fn open(app: &App, id: EventId) -> Self {
        let answer = ask(app, &id.to_string(), None).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { answer, rest: String::new() }
    }

    /// The next event, comments left out; `None` when the stream has ended.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.find("\n\n") {
                let event: String = self.rest.drain(..end + 2).collect();
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                let Some(data) = data else { continue };
                assert!(event.lines().any(|line| line == "event: stage"), "{event}");
                return Some(serde_json::from_str(data).unwrap());
            }
            let bytes = self.answer.chunk().await.unwrap()?;
            self.rest.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// The stages up to the end of the stream.
    async fn stages(&mut self) -> Vec<String> {
        let mut stages = Vec::new();
        while let Some(event) = self.next().await {
            stages.push(event["stage"].as_str().unwrap().to_owned());
        }
        stages
    }
}

async fn ask(app: &App, id: &str, last: Option<&str>) -> Response {
    let url = format!("{}/api/v1/registrations/{id}/events", app.url("auth"));
    let request = reqwest::Client::new().get(url);
    let request = match last {
        Some(last) => request.header("last-event-id", last),
        None => request,
    };
    request.send().await.unwrap()
}

#[tokio::test]
async fn a_stream_tells_each_stage_as_it_comes_and_ends_with_the_registration() {
    let options = Options::only(&["auth"]).with("REGISTRATION_OVERDUE", "1s");
    let app = App::start_with(options).await;
    let id = app.register().await;
    let mut followed = Followed::open(&app, id).await;
    let first = followed.next().await.unwrap();
    assert_eq!(first, app.registration(id).await, "the same JSON");
    assert_eq!(first["stage"], "PENDING");
    app.component("relay").start().await.unwrap();
    assert_eq!(followed.next().await.unwrap()["stage"], "STARTED");
    app.component("worker").start().await.unwrap();
    while followed.next().await.unwrap()["stage"] != "STALLED" {}
    app.component("todo").start().await.unwrap();
    assert_eq!(followed.stages().await.last().unwrap(), "ACKNOWLEDGED");

    let mut late = Followed::open(&app, id).await;
    assert_eq!(late.stages().await, ["ACKNOWLEDGED"], "it ends at once");
    let again = ask(&app, &id.to_string(), Some("ACKNOWLEDGED")).await;
    assert_eq!(again.status(), 204, "nothing follows, and the browser need not ask again");
    for unknown in [&Uuid::now_v7().to_string(), "42", "%00"] {
        let answer = ask(&app, unknown, None).await;
        assert_eq!(answer.status(), 404, "{unknown}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    app.finish().await;
}

/// Waits until there is a place for one more stream.
async fn has_room(open: impl AsyncFn() -> Response) {
    eventually("a place is free", async || match open().await.status().as_u16() {
        200 => Ok(()),
        status => Err(status),
    })
    .await;
}

#[tokio::test]
async fn open_streams_are_bounded_and_a_client_that_leaves_frees_its_place() {
    let options = Options::only(&["auth"]).with("REGISTRATION_STREAMS_MAX", "2");
    let app = App::start_with(options).await;
    let id = app.register().await;
    let first = Followed::open(&app, id).await;
    let _second = Followed::open(&app, id).await;
    let refused = ask(&app, &id.to_string(), None).await;
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    drop(first);
    has_room(async || ask(&app, &id.to_string(), None).await).await;
    app.remove().await;
}

/// All clients of a proxy share its connections.
#[tokio::test]
async fn one_client_of_a_proxy_cannot_take_all_places() {
    let options = Options::only(&["auth"]).with("TRUSTED_PROXIES", "127.0.0.1");
    let app = App::start_with(options).await;
    let id = app.register().await;
    let url = format!("{}/api/v1/registrations/{id}/events", app.url("auth"));
    let opened = async |client: &str| {
        app.http.get(&url).header("x-forwarded-for", client).send().await.unwrap()
    };
    let mut held = Vec::new();
    for number in 0..32 {
        let stream = opened("192.0.2.1").await;
        assert_eq!(stream.status(), 200, "{number}");
        held.push(stream);
    }
    assert_eq!(opened("192.0.2.1").await.status(), 503);
    assert_eq!(opened("192.0.2.2").await.status(), 200, "others have places");
    held.clear();
    has_room(async || opened("192.0.2.1").await).await;
    app.remove().await;
}

#[tokio::test]
async fn all_followers_share_one_query() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let mut followed = Vec::new();
    for _ in 0..10 {
        let id = app.register().await;
        followed.push(Followed::open(&app, id).await);
        followed.push(Followed::open(&app, id).await);
    }
    let auth = app.auth_database().await;
    auth.run_command(doc! { "profile": 2 }).await.unwrap();
    let looks = eventually("it looks", async || {
        let looks =
            doc! { "command.find": "outbox", "command.filter._id.$in": { "$exists": true } };
        let profile = auth.collection::<Document>("system.profile");
        let looks = profile.find(looks).sort(doc! { "ts": 1 }).await.unwrap();
        let looks: Vec<Document> = looks.try_collect().await.unwrap();
        if looks.len() >= 4 { Ok(looks) } else { Err(looks.len()) }
    })
    .await;
    auth.run_command(doc! { "profile": 0 }).await.unwrap();
    let at = |look: &Document| look.get_datetime("ts").unwrap().timestamp_millis();
    for pair in looks.windows(2) {
        let apart = at(&pair[1]) - at(&pair[0]);
        assert!(apart >= LOOKS_APART_MS, "two looks within {apart} ms");
    }
    app.remove().await;
}

#[tokio::test]
async fn a_stream_survives_an_election_and_ends_with_the_service() {
    let options = Options::only(&["auth"]);
    let (app, _own) = with_own(Server::Mongo, options).await;
    let id = app.register().await;
    let mut followed = Followed::open(&app, id).await;
    assert_eq!(followed.next().await.unwrap()["stage"], "PENDING");
    let admin = app.auth_database().await.client().database("admin");
    let down = doc! { "replSetStepDown": 2, "secondaryCatchUpPeriodSecs": 0, "force": true };
    admin.run_command(down).await.unwrap();
    app.component("relay").start().await.unwrap();
    let next = tokio::time::timeout(Duration::from_mins(1), followed.next()).await.unwrap();
    assert_ne!(next.unwrap()["stage"], "PENDING", "the same stream goes on");
    app.component("auth").stop().await.unwrap();
    assert_eq!(followed.stages().await.last(), None, "no more stages, and no broken connection");
    app.remove().await;
}

#[tokio::test]
async fn looks_that_fail_are_repeated_and_the_stream_goes_on() {
    let app = App::start_with(Options::only(&["auth"]).failing("auth")).await;
    let id = app.register().await;
    let mut followed = Followed::open(&app, id).await;
    assert_eq!(followed.next().await.unwrap()["stage"], "PENDING");
    let away = doc! { "failCommands": ["find"], "closeConnection": true };
    let point = app.fail_commands(doc! { "times": i32::MAX }, away).await;
    let before = point.hits().await;
    app.component("relay").start().await.unwrap();
    eventually("the relay has noted the start", async || {
        let noted = doc! { "startedAt": { "$type": "date" } };
        match app.outbox().await.find_one(noted).await.unwrap() {
            Some(_) => Ok(()),
            None => Err("not yet"),
        }
    })
    .await;
    // The driver repeats a read once by itself.
    eventually("a look has failed", async || match point.hits().await - before {
        ..2 => Err("not yet"),
        _ => Ok(()),
    })
    .await;
    point.off().await;
    assert_eq!(followed.next().await.unwrap()["stage"], "STARTED", "on the same stream");
    app.remove().await;
}
