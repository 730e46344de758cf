//! Every step of accounts, with a crash before it and after it.

use mongodb::bson::{Document, doc};
use onboard_fault::{Side, Step};
use serde_json::{Value, json};

use crate::harness::{Account, App, Options, PASSWORD, Tokens, eventually, text};
use crate::kill_points::tokens::Tokens as Points;

const EVENTS: &str = "security_events";

async fn count(app: &App, collection: &str, filter: Document) -> u64 {
    let found = app.auth_database().await.collection::<Document>(collection);
    found.count_documents(filter).await.unwrap()
}

/// Posts to auth as a client would that gets no answer: the answer, if any.
async fn heard(app: &App, path: &str, body: &Value) -> Option<(u16, Value)> {
    let answer = app.try_post("auth", path, body).await.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.json().await.unwrap_or_default()))
}

/// Logs in until auth answers.
async fn insist(app: &App, account: &Account) -> Tokens {
    let body = json!({ "email": account.email, "password": PASSWORD });
    let answer = eventually("somebody is logged in", async || {
        match heard(app, "/api/v1/auth/login", &body).await {
            Some((200, answer)) => Ok(answer),
            other => Err(other),
        }
    });
    Tokens::read(&answer.await)
}

#[tokio::test]
async fn auth_may_die_at_every_step_of_a_session() {
    let steps = [
        Step("login.commit"),
        Step("login.failed"),
        Step("login.rehash"),
        Step("refresh.commit"),
        Step("session.limit"),
        Step("session.revoke"),
    ];
    let points = steps.iter().flat_map(|step| [step.point(Side::Before), step.point(Side::After)]);
    let points = Points::new(points);
    // Who registers at the second has a weaker hash than the first wants.
    let options = Options::only(&["auth"])
        .and("second", "auth")
        .with_for("auth", "ARGON2_MEMORY_KIB", "16")
        .with_for("auth", "SESSIONS_PER_USER_MAX", "1")
        .with_for("auth", "FAILPOINTS", &points.armed("crash"))
        .failing("auth");
    let app = App::start_with(options).await;
    eventually("auth has died at every point", async || {
        a_life(&app).await;
        let left = points.left();
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    app.ready("auth").await;
    app.end_orphans().await;
    a_life(&app).await;
    // Of a session that was opened everything is there, of others nothing.
    let sessions = app.auth_database().await.collection::<Document>("sessions");
    let known = sessions.distinct("_id", doc! {}).await.unwrap();
    let tokens = app.auth_database().await.collection::<Document>("refresh_tokens");
    let of_tokens = tokens.distinct("sessionId", doc! {}).await.unwrap();
    assert_eq!(known.len(), of_tokens.len());
    // Each login is recorded with its session, and each end of one with its reason.
    let logged_in = count(&app, EVENTS, doc! { "kind": "logged_in" }).await;
    assert_eq!(logged_in, known.len() as u64);
    for (reason, kind) in [("logout", "logged_out"), ("limit", "session_limit")] {
        let ended = count(&app, "sessions", doc! { "revokedFor": reason }).await;
        assert!(ended > 0, "{reason}");
        assert_eq!(count(&app, EVENTS, doc! { "kind": kind }).await, ended, "{kind}");
    }
    for session in known {
        let unused = doc! { "sessionId": &session, "usedAt": { "$exists": false } };
        assert_eq!(tokens.count_documents(unused).await.unwrap(), 1, "{session}");
        let used = doc! { "sessionId": &session, "usedAt": { "$exists": true } };
        let used = tokens.count_documents(used).await.unwrap();
        let all = tokens.count_documents(doc! { "sessionId": &session }).await.unwrap();
        assert_eq!(all, used + 1);
    }
    app.remove().await;
}

/// Registers, logs in, refreshes and logs out, whatever dies meanwhile.
async fn a_life(app: &App) {
    let email = app.address();
    let body = json!({ "email": email, "password": PASSWORD });
    let (status, answer) = app.post("second", "/api/v1/auth/register", &body).await;
    assert_eq!(status, 201, "{answer}");
    let account = Account { email, user_id: answer["userId"].as_str().unwrap().to_owned() };
    let wrong = json!({ "email": account.email, "password": "another one" });
    heard(app, "/api/v1/auth/login", &wrong).await;
    // The second login ends the session of the first.
    insist(app, &account).await;
    let tokens = insist(app, &account).await;
    let body = json!({ "refreshToken": tokens.refresh });
    // Not heard: the same token again works, or ends the session, or has to
    // wait until the transaction of the process that died is ended.
    let refreshed = eventually("the refresh is answered", async || {
        match heard(app, "/api/v1/auth/refresh", &body).await {
            Some((200, answer)) => Ok(Some(Tokens::read(&answer))),
            Some((401 | 503, _)) => Ok(None),
            other => Err(other),
        }
    })
    .await;
    let tokens = match refreshed {
        Some(tokens) => tokens,
        None => insist(app, &account).await,
    };
    let body = json!({ "refreshToken": tokens.refresh });
    eventually("the logout is answered", async || {
        match heard(app, "/api/v1/auth/logout", &body).await {
            Some((204, _)) => Ok(()),
            other => Err(other),
        }
    })
    .await;
    // A process that has only just come back answers 503 until it has its keys.
    let answered = eventually("the refresh is answered", async || {
        match heard(app, "/api/v1/auth/refresh", &body).await {
            None | Some((503, _)) => Err("no answer"),
            Some((status, _)) => Ok(status),
        }
    });
    assert_eq!(answered.await, 401, "the session is over");
}

/// An application, somebody in it, and the id of its key.
async fn fresh() -> (App, Account, String) {
    let app = App::start_with(Options::only(&["auth"])).await;
    let (account, keys) = (app.account().await, kids(&app).await);
    (app, account, keys[0].clone())
}

async fn kids(app: &App) -> Vec<String> {
    let listed = app.tool(&["keys", "list"]).await.yes();
    let keys = listed["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn roles(app: &App, account: &Account) -> Value {
    app.tool(&["users", "show", &account.email]).await.yes()["roles"].clone()
}

#[tokio::test]
async fn a_tool_that_dies_before_its_commit_has_changed_nothing() {
    let (app, account, first) = fresh().await;
    let grant = ["users", "grant", &account.email, "admin"];
    app.crash_tool(&grant, &Step("role.commit").point(Side::Before)).await;
    assert_eq!(roles(&app, &account).await, json!(["user"]));
    assert_eq!(count(&app, "role_changes", doc! {}).await, 0);
    assert_eq!(count(&app, EVENTS, doc! { "kind": "role_granted" }).await, 0);
    for (args, step) in [
        (["keys", "rotate", "--now"], Step("key.rotate")),
        (["keys", "remove", &first], Step("key.remove")),
    ] {
        app.crash_tool(&args, &step.point(Side::Before)).await;
        assert_eq!(kids(&app).await.len(), 1, "{args:?}");
        let recorded = doc! { "kind": { "$in": ["key_rotated", "key_removed"] } };
        assert_eq!(count(&app, EVENTS, recorded).await, 0, "{args:?}");
        assert_eq!(kids(&app).await[0], first, "{args:?}");
        assert_eq!(count(&app, "signing_keys", doc! { "goneFrom": null }).await, 1, "{args:?}");
    }
    assert_eq!(app.tool(&grant).await.yes()["changed"], true, "it can be done again");
    app.remove().await;
}

#[tokio::test]
async fn a_tool_that_dies_after_its_commit_is_run_again_without_harm() {
    let (app, account, first) = fresh().await;
    let grant = ["users", "grant", &account.email, "admin"];
    app.crash_tool(&grant, &Step("role.commit").point(Side::After)).await;
    assert_eq!(roles(&app, &account).await, json!(["user", "admin"]));
    assert_eq!(app.tool(&grant).await.yes()["changed"], false);
    assert_eq!(count(&app, "role_changes", doc! {}).await, 1);
    assert_eq!(count(&app, EVENTS, doc! { "kind": "role_granted" }).await, 1);

    app.crash_tool(&["keys", "rotate", "--now"], &Step("key.rotate").point(Side::After)).await;
    assert_eq!(kids(&app).await.len(), 2);
    app.crash_tool(&["keys", "remove", &first], &Step("key.remove").point(Side::After)).await;
    let left = kids(&app).await;
    assert!(left.len() == 1 && left[0] != first, "{left:?}");
    assert_eq!(app.tool(&["keys", "remove", &first]).await.code, Some(1));
    for kind in ["key_rotated", "key_removed"] {
        assert_eq!(count(&app, EVENTS, doc! { "kind": kind }).await, 1, "{kind}");
    }
    assert_eq!(count(&app, "signing_keys", doc! { "goneFrom": null }).await, 1);
    app.remove().await;
}

#[tokio::test]
async fn a_setup_that_dies_at_the_first_key_is_run_again() {
    let app = App::start_with(Options::only(&[])).await;
    let stored = app.auth_database().await.collection::<Document>("signing_keys");
    stored.delete_many(doc! {}).await.unwrap();
    for (side, after) in [(Side::Before, 0), (Side::After, 1)] {
        app.crash_tool(&["setup"], &Step("key.first").point(side)).await;
        assert_eq!(count(&app, "signing_keys", doc! {}).await, after, "{side:?}");
    }
    let output = app.onboard(&["setup"]).await;
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(kids(&app).await.len(), 1);
    app.remove().await;
}

#[tokio::test]
async fn a_rewrapping_that_dies_is_run_again() {
    let app = App::start_with(Options::only(&[])).await;
    let dir = tempfile::tempdir().unwrap();
    let new = dir.path().join("new");
    std::fs::write(&new, "a new secret, of more than thirty-two bytes").unwrap();
    let rewrap = || {
        let mut command = app.command(&["keys", "rewrap", "--json"]);
        command.env("AUTH_SECRET_FILE", &new);
        command.env("AUTH_SECRET_PREVIOUS_FILE", app.setting("AUTH_SECRET_FILE"));
        command
    };
    // The secret of the application opens the key until the change is written.
    for (side, opens) in [(Side::Before, true), (Side::After, false)] {
        app.crash(rewrap(), &Step("key.rewrap").point(side)).await;
        let listed = app.tool(&["keys", "list"]).await.yes();
        assert_eq!(listed["keys"][0]["opens"], opens, "{side:?}");
        let recorded = count(&app, EVENTS, doc! { "kind": "key_rewrapped" }).await;
        assert_eq!(recorded, u64::from(!opens), "{side:?}");
    }
    let output = rewrap().output().await.unwrap();
    let done: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(done["already"].as_array().unwrap().len(), 1, "{}", text(&output));
    app.remove().await;
}
