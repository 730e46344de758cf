//! What clients get for good and for bad input.

use futures::future::join_all;
use mongodb::bson::doc;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{App, Options, eventually};

async fn raw(
    app: &App,
    content_type: Option<&str>,
    body: impl Into<reqwest::Body>,
) -> (u16, Value) {
    let url = format!("{}/api/v1/auth/register", app.url("auth"));
    let mut request = app.http.post(url).body(body);
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert_eq!(kind, "application/problem+json", "status {status}");
    (status, answer.json().await.unwrap())
}

/// A body of unknown length.
fn chunks(body: String) -> impl futures::Stream<Item = Result<Vec<u8>, std::io::Error>> {
    let chunks: Vec<_> = body.into_bytes().chunks(8 << 10).map(|c| Ok(c.to_vec())).collect();
    futures::stream::iter(chunks)
}

#[tokio::test]
async fn bad_input_gets_a_problem_that_helps() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let json = Some("application/json");
    let large = json!({ "email": "a@example.com", "password": "x".repeat(4 << 20) }).to_string();
    let answers = [
        (raw(&app, json, "{").await, 400),
        (raw(&app, json, "").await, 400),
        (raw(&app, json, vec![0xff, 0xfe]).await, 400),
        (raw(&app, json, large.clone()).await, 413),
        (raw(&app, json, reqwest::Body::wrap_stream(chunks(large.clone()))).await, 413),
        (raw(&app, Some("text/plain"), large).await, 415),
        (raw(&app, Some("text/plain"), "{}").await, 415),
        (raw(&app, None, "{}").await, 415),
        (raw(&app, json, "null").await, 422),
        (raw(&app, json, "[]").await, 422),
    ];
    for ((status, problem), expected) in answers {
        assert_eq!(status, expected, "{problem}");
        assert_eq!(problem["status"], expected, "{problem}");
        assert!(problem["title"].is_string() && problem["type"].is_string(), "{problem}");
    }
    for (body, pointers) in [
        (json!({}), vec!["#/email", "#/password"]),
        (json!({ "email": 5, "password": null }), vec!["#/email", "#/password"]),
        (json!({ "email": "nobody", "password": "correct horse" }), vec!["#/email"]),
        (json!({ "email": "a@example.com", "password": "short" }), vec!["#/password"]),
        (json!({ "email": { "$ne": null }, "password": "correct horse" }), vec!["#/email"]),
    ] {
        let (status, problem) = raw(&app, json, body.to_string()).await;
        assert_eq!(status, 422, "{problem}");
        let found: Vec<&str> = problem["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["pointer"].as_str().unwrap())
            .collect();
        assert_eq!(found, pointers, "{problem}");
    }
    assert_eq!(app.users().await.count_documents(doc! {}).await.unwrap(), 0);
    app.remove().await;
}

#[tokio::test]
async fn an_answer_names_the_registration_and_where_it_is() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let answer = app.post_register("Ada@Example.COM").await;
    assert_eq!(answer.status(), 201);
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(
        location,
        format!("/api/v1/registrations/{}", body["registrationId"].as_str().unwrap())
    );
    assert_eq!(body["email"], "Ada@Example.COM");
    let user = app.users().await.find_one(doc! {}).await.unwrap().unwrap();
    assert_eq!(user.get_str("emailCanonical").unwrap(), "ada@example.com");
    assert!(user.get_str("passwordHash").unwrap().starts_with("$argon2id$v=19$"));

    let found = app.http.get(format!("{}{location}", app.url("auth"))).send().await.unwrap();
    let found: Value = found.json().await.unwrap();
    assert_eq!(found["stage"], "PENDING");
    assert_eq!(
        found["workflowId"],
        format!("registration-{}", found["registrationId"].as_str().unwrap())
    );
    assert!(!found.to_string().to_lowercase().contains("ada@"), "no personal data: {found}");

    for unknown in ["nonsense", "0190c1c4-7f6e-7d1a-8b1e-2f6f3a1b2c3d"] {
        let url = format!("{}/api/v1/registrations/{unknown}", app.url("auth"));
        assert_eq!(app.http.get(url).send().await.unwrap().status(), 404);
    }
    app.remove().await;
}

#[tokio::test]
async fn of_twenty_registrations_of_one_address_at_once_one_wins() {
    let app = App::start().await;
    let spellings =
        ["Twin@example.com", "twin@example.com", "TWIN@EXAMPLE.com", "twin@Example.Com"];
    let answers =
        join_all((0..20).map(|n| app.post_register(spellings[n % spellings.len()]))).await;
    let count = |status| answers.iter().filter(|answer| answer.status() == status).count();
    assert_eq!((count(StatusCode::CREATED), count(StatusCode::CONFLICT)), (1, 19));
    let again = app.post_register("twin@example.com").await;
    assert_eq!(again.status(), 409);
    assert_eq!(again.headers()["content-type"], "application/problem+json");
    assert_eq!(app.users().await.count_documents(doc! {}).await.unwrap(), 1);
    app.finish().await;
}

#[tokio::test]
async fn when_the_outbox_insert_fails_there_is_no_user() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let database = app.auth_database().await;
    let impossible = doc! { "$jsonSchema": { "required": ["neverThere"] } };
    database.run_command(doc! { "collMod": "outbox", "validator": impossible }).await.unwrap();
    let email = app.address();
    let answer = app.post_register(&email).await;
    assert!(answer.status().is_server_error(), "{}", answer.status());
    assert_eq!(app.users().await.count_documents(doc! {}).await.unwrap(), 0);

    let setup = app.onboard(&["setup"]).await;
    assert!(setup.status.success(), "setup puts the validator back");
    assert_eq!(app.post_register(&email).await.status(), 201, "the address is free");
    app.remove().await;
}

#[tokio::test]
async fn a_full_hash_pool_answers_503_at_once() {
    let options = Options::only(&["auth"])
        .with("ARGON2_MEMORY_KIB", "262144")
        .with("ARGON2_ITERATIONS", "4")
        .with("HASH_THREADS", "1")
        .with("HASH_QUEUE", "1");
    let app = App::start_with(options).await;
    let addresses: Vec<String> = (0..12).map(|_| app.address()).collect();
    let answers = join_all(addresses.iter().map(|email| app.post_register(email))).await;
    let refused: Vec<_> =
        answers.iter().filter(|a| a.status() == StatusCode::SERVICE_UNAVAILABLE).collect();
    assert!(
        !refused.is_empty(),
        "{:?}",
        answers.iter().map(reqwest::Response::status).collect::<Vec<_>>()
    );
    assert!(refused.iter().all(|answer| answer.headers().contains_key("retry-after")));
    assert!(answers.iter().any(|answer| answer.status() == StatusCode::CREATED));
    app.remove().await;
}

#[tokio::test]
async fn a_commit_that_answers_a_transient_error_is_repeated() {
    let app = App::start_with(Options::only(&["auth"]).failing("auth")).await;
    for (what, times, data) in [
        (
            "UnknownTransactionCommitResult",
            3_i64,
            doc! { "failCommands": ["commitTransaction"], "errorCode": 64,
            "errorLabels": ["UnknownTransactionCommitResult"] },
        ),
        (
            "TransientTransactionError",
            3,
            doc! { "failCommands": ["insert"], "errorCode": 112,
            "errorLabels": ["TransientTransactionError"] },
        ),
        (
            "a connection cut at the commit",
            1,
            doc! { "failCommands": ["commitTransaction"], "closeConnection": true },
        ),
    ] {
        let point = app.fail_commands(doc! { "times": i32::try_from(times).unwrap() }, data).await;
        let before = point.hits().await;
        let email = app.address();
        assert_eq!(app.post_register(&email).await.status(), 201, "{what}");
        assert_eq!(point.hits().await - before, times, "{what} was tried");
        point.off().await;
        let user = doc! { "email": &email };
        assert_eq!(app.users().await.count_documents(user).await.unwrap(), 1, "{what}");
    }
    let rows = app.outbox().await.count_documents(doc! {}).await.unwrap();
    assert_eq!(rows, 3);
    app.remove().await;
}

#[tokio::test]
async fn liveness_touches_no_dependency_and_readiness_names_them() {
    let app = App::start_with(Options::default().each_apart()).await;
    for (service, checks) in [
        ("auth", vec!["mongo"]),
        ("relay", vec!["mongo", "temporal"]),
        ("worker", vec!["mongo", "rabbitmq", "temporal"]),
        ("todo", vec!["mongo", "rabbitmq", "temporal"]),
    ] {
        let get = |path: &str| app.http.get(format!("{}{path}", app.url(service))).send();
        assert_eq!(get("/healthz").await.unwrap().status(), 200, "{service}");
        assert!(get("/metrics").await.unwrap().status().is_success(), "{service}");
        let ready: Value = eventually("ready", async || {
            let answer = get("/readyz").await.unwrap();
            if answer.status() == 200 {
                Ok(answer.json().await.unwrap())
            } else {
                Err(answer.text().await.unwrap())
            }
        })
        .await;
        for check in checks {
            assert!(ready.to_string().contains(check), "{service} names {check}: {ready}");
        }
    }
    app.finish().await;
}
