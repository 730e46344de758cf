//! Keys, refresh tokens and limits.

use serde_json::{Value, json};
use uuid::Uuid;

use super::Watched;
use crate::harness::{Entry, PASSWORD, eventually};

const WATCH: (&str, &str) = ("SECONDS_TO_WATCH", "1");

/// Somebody with an account; the address.
async fn somebody(watched: &Watched) -> String {
    let email = format!("{}@example.com", Uuid::new_v4().simple());
    let body = json!({ "email": email, "password": PASSWORD });
    assert_eq!(watched.post("auth/register", body).await.unwrap().status(), 201);
    email
}

async fn log_in(watched: &Watched, email: &str) -> String {
    let body = json!({ "email": email, "password": PASSWORD });
    let answer = watched.post("auth/login", body).await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json::<Value>().await.unwrap()["refreshToken"].as_str().unwrap().to_owned()
}

async fn refresh_tokens_are_used_twice(watched: &Watched) {
    let entry = Entry::named("Refresh tokens are used twice");
    let email = somebody(watched).await;
    let thieves = async {
        loop {
            let token = log_in(watched, &email).await;
            for _ in 0..2 {
                let body = json!({ "refreshToken": token });
                watched.post("auth/refresh", body).await.unwrap();
            }
        }
    };
    tokio::select! {
        () = watched.alarmed(&entry, "RefreshTokensReused") => (),
        () = thieves => (),
    }
    watched.follow(&entry, &[WATCH]).await;
    watched.prometheus.ends("RefreshTokensReused").await;
}

async fn somebody_guesses_passwords(watched: &Watched) {
    let entry = Entry::named("Clients hear 429");
    let email = somebody(watched).await;
    let guesses = async {
        loop {
            let body = json!({ "email": email, "password": "not the one it is" });
            watched.post("auth/login", body).await.unwrap();
        }
    };
    tokio::select! {
        () = watched.alarmed(&entry, "ClientsLimited") => (),
        () = guesses => (),
    }
    watched.follow(&entry, &[WATCH]).await;
    watched.prometheus.ends("ClientsLimited").await;
}

/// More failures of one network than are recorded.
async fn failures_are_left_out(watched: &Watched) {
    let entry = Entry::named("Failed logins are not recorded");
    for n in 0..40 {
        let body = json!({ "email": format!("nobody-{n}@example.com"), "password": PASSWORD });
        assert_eq!(watched.post("auth/login", body).await.unwrap().status(), 401, "{n}");
    }
    let metrics = watched.http.get(format!("{}/metrics", watched.auth_url)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let mut lines = metrics.lines();
    let left_out = lines
        .find_map(|line| line.strip_prefix("security_events_left_out_total{why=\"network\"} "));
    assert!(left_out.is_some_and(|count| count != "0"), "{metrics}");
    watched.follow(&entry, &[WATCH]).await;
}

async fn published(watched: &Watched) -> Vec<String> {
    let url = format!("{}/.well-known/jwks.json", watched.auth_url);
    let keys: Value = watched.http.get(url).send().await.unwrap().json().await.unwrap();
    let keys = keys["keys"].as_array().unwrap().clone();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn a_signing_key_was_stolen(watched: &Watched) {
    let entry = Entry::named("A signing key was stolen");
    let email = somebody(watched).await;
    let stolen = published(watched).await;
    watched.follow(&entry, &[("KID", &stolen[0])]).await;
    assert!(!published(watched).await.contains(&stolen[0]));
    log_in(watched, &email).await;
}

async fn somebody_asks_who_changed_an_account(watched: &Watched) {
    let entry = Entry::named("Who changed this account?");
    let email = somebody(watched).await;
    log_in(watched, &email).await;
    watched.follow(&entry, &[("EMAIL", &email)]).await;
}

async fn there_is_no_signing_key(watched: &Watched) {
    let entry = Entry::named("auth is not ready: its keys cannot be opened");
    let email = somebody(watched).await;
    let keys = watched.database("auth").collection::<mongodb::bson::Document>("signing_keys");
    let gone = keys.delete_many(mongodb::bson::doc! {}).await.unwrap();
    assert!(gone.deleted_count > 0);
    eventually("auth is not ready", async || {
        let answer = watched.http.get(format!("{}/readyz", watched.auth_url)).send().await;
        if answer.is_ok_and(|answer| answer.status() == 503) { Ok(()) } else { Err("it is") }
    })
    .await;
    watched.follow(&entry, &[]).await;
    log_in(watched, &email).await;
}

#[tokio::test]
async fn trouble_with_accounts_is_seen_and_ended() {
    // Every second use counts, also one just after the first.
    let watched = Watched::up(&[("REFRESH_TOKEN_GRACE", "0s")]).await;
    refresh_tokens_are_used_twice(&watched).await;
    somebody_guesses_passwords(&watched).await;
    failures_are_left_out(&watched).await;
    a_signing_key_was_stolen(&watched).await;
    somebody_asks_who_changed_an_account(&watched).await;
    there_is_no_signing_key(&watched).await;
    watched.down().await;
}
