//! The keys of tokens: kept while auth is down, and fetched anew when they
//! change. The consumer needs none.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{App, Desk, Issuer, Options, eventually};

/// With the real auth: who has registered and logged in finds the welcome todo,
/// and goes on while auth is stopped.
#[tokio::test]
async fn who_has_logged_in_has_todos_even_when_auth_is_stopped() {
    let app = App::start_with(Options::default().apart(&["auth"])).await;
    let email = app.address();
    let registered: Value = app.post_register(&email).await.json().await.unwrap();
    let id = registered["registrationId"].as_str().unwrap().parse().unwrap();
    app.reaches(id, "ACKNOWLEDGED").await;
    let login = app.http.post(format!("{}/api/v1/auth/login", app.url("auth")));
    let login = login.json(&json!({ "email": email, "password": "correct horse battery" }));
    let session: Value = login.send().await.unwrap().json().await.unwrap();
    let user = registered["userId"].as_str().unwrap().parse().unwrap();
    let ada = app.holder(session["accessToken"].as_str().unwrap(), user);
    let list = ada.list("").await;
    assert_eq!(list.json["items"][0]["title"], "Welcome to the App", "{list:?}");
    assert_eq!(list.json["items"][0]["id"], ada.welcome().to_string());
    app.component("auth").stop().await.unwrap();
    ada.add("while auth is stopped").await;
    assert_eq!(ada.delete(ada.welcome()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(ada.all(10).await.len(), 1);
    app.ready("todo").await;
    app.is_clean().await;
    app.remove().await;
}

#[tokio::test]
async fn while_auth_is_down_a_token_stays_good() {
    let desk = Desk::start_with(Options::only(&["todo"]).with("JWKS_REFRESH", "1s")).await;
    let ada = desk.somebody();
    ada.add("while it is up").await;
    desk.issuer.switch(false);
    let asked = desk.issuer.asked();
    eventually("the refresh has failed a few times", async || {
        let asked_now = desk.issuer.asked();
        if asked_now >= asked + 3 { Ok(()) } else { Err(asked_now) }
    })
    .await;
    ada.add("while it is down").await;
    // Also for somebody the service has not met.
    desk.somebody().add("mine").await;
    desk.app.ready("todo").await;
    assert_eq!(ada.all(10).await.len(), 2);
    desk.app.remove().await;
}

#[tokio::test]
async fn without_keys_the_api_says_to_come_back_and_the_consumer_works() {
    let issuer = Issuer::start().await;
    issuer.switch(false);
    let options = Options::only(&["todo"]).with_for("todo", "JWKS_URL", issuer.url());
    // Ready without keys, or the start would not come to its end.
    let app = App::start_with(options).await;
    let ada = app.person(&issuer, onboard_runtime::clock::random_id().into());
    app.publish_registered(uuid::Uuid::now_v7().into(), ada.id).await;
    app.acked(1).await;
    assert_eq!(app.todos_of(ada.id).await, 1);
    for answer in [ada.list("").await, ada.read(ada.welcome()).await, ada.create(&json!({})).await]
    {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
        assert_eq!(answer.headers["retry-after"], "5");
        assert_eq!(answer.json["type"], "/problems/unavailable");
    }
    issuer.switch(true);
    eventually("the keys are fetched", async || {
        let list = ada.list("").await;
        if list.status == StatusCode::OK { Ok(()) } else { Err(list) }
    })
    .await;
    assert_eq!(ada.all(10).await, [ada.welcome().to_string()]);
    app.remove().await;
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it() {
    // So rarely that only the unknown key can be the reason.
    let desk = Desk::start_with(Options::only(&["todo"]).with("JWKS_REFRESH", "5m")).await;
    let old = desk.somebody();
    old.add("with the first key").await;
    desk.issuer.rotate();
    let new = desk.somebody();
    let asked = desk.issuer.asked();
    new.add("with the second key").await;
    assert_eq!(desk.issuer.asked(), asked + 1, "asked once");
    old.add("the first is still good").await;
    assert_eq!(desk.issuer.asked(), asked + 1, "and not again");
    desk.app.remove().await;
}
