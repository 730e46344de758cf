use futures::TryStreamExt;
use futures::future::join_all;
use mongodb::Collection;
use mongodb::bson::{DateTime, Document, doc};
use serde_json::json;

use crate::harness::{App, Options, Tokens, binary, claims};

async fn collection(app: &App, name: &str) -> Collection<Document> {
    app.auth_database().await.collection(name)
}

/// The session of a token, as it is stored.
async fn session(app: &App, tokens: &Tokens) -> Document {
    let id: uuid::Uuid = claims(&tokens.access)["sid"].as_str().unwrap().parse().unwrap();
    let sessions = collection(app, "sessions").await;
    sessions.find_one(doc! { "_id": binary(id) }).await.unwrap().unwrap()
}

async fn refreshed(app: &App, token: &str) -> Tokens {
    let (status, answer) = app.refresh(token).await;
    assert_eq!(status, 200, "{answer}");
    Tokens::read(&answer)
}

async fn refused(app: &App, token: &str) {
    let (status, problem) = app.refresh(token).await;
    assert_eq!((status, &problem["type"]), (401, &json!("/problems/invalid-token")), "{problem}");
}

/// Without a time in which a used token is answered again.
fn strict() -> Options {
    Options::only(&["auth"]).with("REFRESH_TOKEN_GRACE", "0s")
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_its_reuse_ends_the_session() {
    let app = App::start_with(strict()).await;
    let account = app.account().await;
    let (first, other) = (app.log_in(&account).await, app.log_in(&account).await);
    let second = refreshed(&app, &first.refresh).await;
    let third = refreshed(&app, &second.refresh).await;
    assert_eq!(claims(&third.access)["sid"], claims(&first.access)["sid"]);
    assert_eq!(app.me(&third.access).await, 200);
    assert!(session(&app, &first).await.get("revokedAt").is_none());

    refused(&app, &first.refresh).await;
    assert_eq!(session(&app, &first).await.get_str("revokedFor").unwrap(), "reuse");
    refused(&app, &third.refresh).await;
    assert_eq!(app.counter("auth", "token_refreshes_total", "reused").await, 1);
    assert_eq!(app.counter("auth", "token_refreshes_total", "success").await, 2);
    refreshed(&app, &other.refresh).await;
    app.remove().await;
}

#[tokio::test]
async fn of_many_refreshes_at_once_one_at_most_succeeds() {
    let app = App::start_with(strict().and("second", "auth")).await;
    let account = app.account().await;
    for _ in 0..5 {
        let tokens = app.log_in(&account).await;
        let body = json!({ "refreshToken": tokens.refresh });
        let all = (0..8).map(|index| {
            let component = ["auth", "second"][index % 2];
            app.post(component, "/api/v1/auth/refresh", &body)
        });
        let statuses: Vec<u16> = join_all(all).await.into_iter().map(|answer| answer.0).collect();
        let count = |status| statuses.iter().filter(|found| **found == status).count();
        assert!(count(200) <= 1, "{statuses:?}");
        assert_eq!(count(200) + count(401) + count(503), 8, "{statuses:?}");
        assert!(count(401) > 0, "{statuses:?}");
        let session = session(&app, &tokens).await;
        assert_eq!(session.get_str("revokedFor").unwrap(), "reuse");
        let tokens = collection(&app, "refresh_tokens").await;
        let own = doc! { "sessionId": session.get("_id").unwrap() };
        assert!(tokens.count_documents(own).await.unwrap() <= 2, "one successor at most");
    }
    app.remove().await;
}

#[tokio::test]
async fn tabs_that_refresh_at_once_get_one_successor_and_stay_logged_in() {
    let app = App::start_with(Options::only(&["auth"]).and("second", "auth")).await;
    let account = app.account().await;
    for _ in 0..5 {
        let mut tokens = app.log_in(&account).await;
        for _ in 0..2 {
            let body = json!({ "refreshToken": tokens.refresh });
            let all = (0..8).map(|index| {
                let component = ["auth", "second"][index % 2];
                app.post(component, "/api/v1/auth/refresh", &body)
            });
            let answers = join_all(all).await;
            let served = answers.iter().all(|(status, _)| *status == 200);
            assert!(served, "nobody is logged out: {answers:?}");
            let first = Tokens::read(&answers[0].1);
            for (_, answer) in &answers {
                let tab = Tokens::read(answer);
                assert_eq!(tab.refresh, first.refresh, "the same successor");
                assert_eq!(app.me(&tab.access).await, 200);
            }
            tokens = first;
        }
        let session = session(&app, &tokens).await;
        assert!(session.get("revokedAt").is_none(), "{session}");
        let stored = collection(&app, "refresh_tokens").await;
        let own = doc! { "sessionId": session.get("_id").unwrap() };
        assert_eq!(stored.count_documents(own).await.unwrap(), 3, "one successor each");
    }
    app.remove().await;
}

/// The time since its use is moved in the database: nobody waits.
#[tokio::test]
async fn a_used_token_is_answered_again_for_ten_seconds_and_no_longer() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let account = app.account().await;
    for (seconds, again) in [(0, true), (8, true), (12, false), (3_600, false)] {
        let first = app.log_in(&account).await;
        let second = refreshed(&app, &first.refresh).await;
        let used = doc! { "sessionId": session(&app, &first).await.get("_id").unwrap(),
        "usedAt": { "$exists": true } };
        let tokens = collection(&app, "refresh_tokens").await;
        let earlier = vec![doc! { "$set": { "usedAt":
        { "$subtract": ["$usedAt", seconds * 1_000] } } }];
        assert_eq!(tokens.update_one(used, earlier).await.unwrap().matched_count, 1);
        if again {
            assert_eq!(refreshed(&app, &first.refresh).await.refresh, second.refresh);
            refreshed(&app, &second.refresh).await;
        } else {
            refused(&app, &first.refresh).await;
            assert_eq!(session(&app, &first).await.get_str("revokedFor").unwrap(), "reuse");
            refused(&app, &second.refresh).await;
        }
    }
    // A session that is over is answered to nobody, however soon.
    let first = app.log_in(&account).await;
    let second = refreshed(&app, &first.refresh).await;
    let logout = json!({ "refreshToken": second.refresh });
    assert_eq!(app.post("auth", "/api/v1/auth/logout", &logout).await.0, 204);
    refused(&app, &first.refresh).await;
    app.remove().await;
}

#[tokio::test]
async fn what_is_over_unknown_or_no_token_is_refused() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let account = app.account().await;
    let past = DateTime::from_millis(DateTime::now().timestamp_millis() - 1_000);
    // MongoDB removes what has expired once a minute: that is no reason.
    let (idle, over) = (app.log_in(&account).await, app.log_in(&account).await);
    let idle_session = session(&app, &idle).await.get("_id").unwrap().clone();
    let expire = doc! { "$set": { "expiresAt": past } };
    let tokens = collection(&app, "refresh_tokens").await;
    tokens.update_one(doc! { "sessionId": idle_session }, expire.clone()).await.unwrap();
    refused(&app, &idle.refresh).await;
    assert!(session(&app, &idle).await.get("revokedAt").is_none(), "that was no reuse");
    let over_session = session(&app, &over).await.get("_id").unwrap().clone();
    let sessions = collection(&app, "sessions").await;
    sessions.update_one(doc! { "_id": over_session }, expire).await.unwrap();
    refused(&app, &over.refresh).await;
    let good = app.log_in(&account).await;
    for bad in ["", "x", &"A".repeat(43), &good.access, &format!("{}=", good.refresh)] {
        refused(&app, bad).await;
    }
    let (status, _) = app.post("auth", "/api/v1/auth/refresh", &json!({ "refreshToken": 1 })).await;
    assert_eq!(status, 422);
    assert_eq!(app.me(&good.refresh).await, 401, "a refresh token is no access token");
    refreshed(&app, &good.refresh).await;
    app.remove().await;
}

#[tokio::test]
async fn a_logout_ends_one_session_and_says_the_same_to_everybody() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let account = app.account().await;
    let (one, two) = (app.log_in(&account).await, app.log_in(&account).await);
    let logout = async |token: &str| {
        let body = json!({ "refreshToken": token });
        let answer = app.try_post("auth", "/api/v1/auth/logout", &body).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for token in [&one.refresh, &one.refresh, "", "x", &"A".repeat(43)] {
        assert_eq!(logout(token).await, (204, String::new()), "{token}");
    }
    assert_eq!(session(&app, &one).await.get_str("revokedFor").unwrap(), "logout");
    refused(&app, &one.refresh).await;
    let two = refreshed(&app, &two.refresh).await;
    assert_eq!(app.post("auth", "/api/v1/auth/logout", &json!({})).await.0, 422);
    assert_eq!(logout(&two.refresh).await.0, 204);
    refused(&app, &two.refresh).await;
    app.remove().await;
}

#[tokio::test]
async fn no_token_is_in_the_database_or_in_the_log() {
    let app = App::start_with(strict()).await;
    let account = app.account().await;
    let first = app.log_in(&account).await;
    let second = refreshed(&app, &first.refresh).await;
    refused(&app, &first.refresh).await;
    let mut dump = String::new();
    for name in ["refresh_tokens", "sessions", "users", "outbox"] {
        let all = collection(&app, name).await.find(doc! {}).await.unwrap();
        let all: Vec<Document> = all.try_collect().await.unwrap();
        assert!(!all.is_empty(), "{name}");
        dump.push_str(&serde_json::to_string(&all).unwrap());
    }
    dump.push_str(&std::fs::read_to_string(app.component("auth").log()).unwrap());
    assert!(dump.contains("a refresh token was used twice"), "the log is looked at");
    for tokens in [&first, &second] {
        let signature = tokens.access.rsplit('.').next().unwrap();
        for secret in [tokens.refresh.as_str(), &tokens.access, signature] {
            assert!(!dump.contains(secret));
        }
    }
    app.remove().await;
}
