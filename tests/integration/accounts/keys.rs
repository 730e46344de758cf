use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::SystemTime;

use mongodb::bson::{DateTime, Document, doc};
use serde_json::Value;

use crate::harness::{Account, App, Options, Tokens, claims, eventually, header, text};

fn quick() -> Options {
    Options::only(&["auth"]).with_for("auth", "SIGNING_KEYS_REFRESH", "1s")
}

fn kid(tokens: &Tokens) -> String {
    header(&tokens.access)["kid"].as_str().unwrap().to_owned()
}

async fn published(app: &App) -> Vec<String> {
    let keys = app.jwks().await["keys"].as_array().unwrap().clone();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// Logs in until a token is signed by this key.
async fn signs(app: &App, account: &Account, key: &str) {
    eventually("the key signs", async || match kid(&app.log_in(account).await) {
        found if found == key => Ok(()),
        other => Err(other),
    })
    .await;
}

/// The key that `list` says signs.
fn signing(list: &Value) -> String {
    let keys = list["keys"].as_array().unwrap();
    let signing: Vec<_> = keys.iter().filter(|key| key["signs"] == true).collect();
    assert_eq!(signing.len(), 1, "{list}");
    signing[0]["kid"].as_str().unwrap().to_owned()
}

/// The second from which a key signs, as `list` says.
fn signs_from(list: &Value, key: &str) -> u64 {
    let keys = list["keys"].as_array().unwrap();
    let row = keys.iter().find(|row| row["kid"] == key).unwrap_or_else(|| panic!("{list}"));
    let from: humantime::Timestamp = row["signsFrom"].as_str().unwrap().parse().unwrap();
    from.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

fn without(kids: &[String], key: &str) -> Vec<String> {
    kids.iter().filter(|kid| *kid != key).cloned().collect()
}

#[tokio::test]
async fn a_rotation_under_load_costs_nobody_an_answer() {
    let app = App::start_with(quick().and("second", "auth")).await;
    let account = app.account().await;
    let old = kid(&app.log_in(&account).await);
    let (done, asked) = (AtomicBool::new(false), AtomicU32::new(0));
    let load = async |at: &'static str, other: &'static str| {
        while !done.load(Ordering::SeqCst) {
            let tokens = app.log_in_at(at, &account).await;
            for component in [at, other] {
                let answer = app.ask(component, "/api/v1/users/me", &tokens.access).await;
                assert_eq!(answer.status(), 200, "{component} {}", kid(&tokens));
                asked.fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    let rotate = async {
        let listed = app.tool(&["keys", "rotate", "--after", "4s"]).await.yes();
        eventually("both are published", async || match published(&app).await {
            kids if kids.len() == 2 => Ok(()),
            kids => Err(kids),
        })
        .await;
        let early = app.log_in(&account).await;
        let new = without(&published(&app).await, &old).remove(0);
        // On a slow machine its time may have come by now.
        let issued = claims(&early.access)["iat"].as_u64().unwrap();
        let may_sign = issued >= signs_from(&listed, &new);
        assert!(kid(&early) == old || may_sign, "published before it signs");
        signs(&app, &account, &new).await;
        assert!(published(&app).await.contains(&old), "its tokens are good for a while");
        // And once more, with a key that nobody has been told of.
        let listed = app.tool(&["keys", "rotate", "--now"]).await.yes();
        let newest = signing(&listed);
        assert_ne!(newest, new);
        signs(&app, &account, &newest).await;
        done.store(true, Ordering::SeqCst);
    };
    tokio::join!(load("auth", "second"), load("second", "auth"), rotate);
    assert!(asked.load(Ordering::SeqCst) > 20, "{asked:?}");
    app.remove().await;
}

#[tokio::test]
async fn a_removed_key_is_refused_and_there_is_always_one() {
    let app = App::start_with(quick()).await;
    let account = app.account().await;
    let tokens = app.log_in(&account).await;
    let stolen = kid(&tokens);
    let listed = app.tool(&["keys", "remove", &stolen]).await.yes();
    let spare = signing(&listed);
    assert_ne!(spare, stolen);
    eventually("the token is refused", async || match app.me(&tokens.access).await {
        401 => Ok(()),
        other => Err(other),
    })
    .await;
    assert_eq!(published(&app).await, std::slice::from_ref(&spare));
    let (status, answer) = app.refresh(&tokens.refresh).await;
    assert_eq!((status, kid(&Tokens::read(&answer))), (200, spare.clone()), "the session goes on");
    // The one that is to sign later signs at once when the signing one goes.
    let listed = app.tool(&["keys", "rotate"]).await.yes();
    assert_eq!(signing(&listed), spare, "not before ten minutes have gone");
    let listed = app.tool(&["keys", "remove", &spare]).await.yes();
    let next = signing(&listed);
    assert_eq!(listed["keys"].as_array().unwrap().len(), 1, "{listed}");
    signs(&app, &account, &next).await;
    assert_eq!(app.tool(&["keys", "remove", &spare]).await.code, Some(1), "it is gone");
    app.remove().await;
}

#[tokio::test]
async fn a_key_whose_time_is_over_is_neither_published_nor_accepted() {
    let app = App::start_with(quick()).await;
    let account = app.account().await;
    let tokens = app.log_in(&account).await;
    let old = kid(&tokens);
    let listed = app.tool(&["keys", "rotate", "--now"]).await.yes();
    let row = listed["keys"].as_array().unwrap().iter().find(|key| key["kid"] == *old).unwrap();
    assert!(row["goneFrom"].is_string() && row["signs"] == false, "{row}");
    assert_eq!(app.me(&tokens.access).await, 200);
    let keys = app.auth_database().await.collection::<Document>("signing_keys");
    let past = DateTime::from_millis(DateTime::now().timestamp_millis() - 1_000);
    keys.update_one(doc! { "_id": &old }, doc! { "$set": { "goneFrom": past } }).await.unwrap();
    eventually("the token is refused", async || match app.me(&tokens.access).await {
        401 => Ok(()),
        other => Err(other),
    })
    .await;
    assert!(!published(&app).await.contains(&old));
    app.remove().await;
}

#[tokio::test]
async fn a_restart_of_auth_ends_no_session_and_no_token() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let account = app.account().await;
    let tokens = app.log_in(&account).await;
    app.component("auth").stop().await.unwrap();
    app.component("auth").request_start().await.unwrap();
    app.ready("auth").await;
    assert_eq!(app.me(&tokens.access).await, 200);
    assert_eq!(app.refresh(&tokens.refresh).await.0, 200);
    app.remove().await;
}

#[tokio::test]
async fn setups_at_once_make_one_key() {
    let app = App::start_with(Options::only(&[])).await;
    let keys = app.auth_database().await.collection::<Document>("signing_keys");
    keys.delete_many(doc! {}).await.unwrap();
    let setup = || app.onboard(&["setup"]);
    let (one, two, three) = tokio::join!(setup(), setup(), setup());
    for output in [one, two, three] {
        assert!(output.status.success(), "{}", text(&output));
    }
    assert_eq!(keys.count_documents(doc! {}).await.unwrap(), 1);
    let key = keys.find_one(doc! {}).await.unwrap().unwrap();
    let output = app.onboard(&["setup"]).await;
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(keys.find_one(doc! {}).await.unwrap().unwrap(), key, "it stays");
    app.remove().await;
}

#[tokio::test]
async fn another_secret_is_told_by_every_program() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let account = app.account().await;
    let tokens = app.log_in(&account).await;
    let dir = tempfile::tempdir().unwrap();
    let wrong = dir.path().join("secret");
    std::fs::write(&wrong, "of somebody else, and long enough").unwrap();
    let key = kid(&tokens);
    for args in [&["setup"][..], &["keys", "rotate"], &["keys", "remove", &key]] {
        let mut command = app.command(args);
        let output = command.env("AUTH_SECRET_FILE", &wrong).output().await.unwrap();
        assert_eq!(output.status.code(), Some(64), "{args:?} {}", text(&output));
        assert!(text(&output).contains("AUTH_SECRET is not the one"), "{}", text(&output));
    }
    let mut command = app.command(&["keys", "list", "--json"]);
    let output = command.env("AUTH_SECRET_FILE", &wrong).output().await.unwrap();
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listed["keys"][0]["opens"], false);
    assert_eq!(app.tool(&["keys", "list"]).await.yes()["keys"][0]["opens"], true);
    assert_eq!(app.me(&tokens.access).await, 200, "nothing was changed");
    // On purpose: the old keys go, and a fresh one is under the new secret.
    app.tool(&["keys", "rotate"]).await.yes();
    let both = app.tool(&["keys", "list"]).await.yes();
    for key in both["keys"].as_array().unwrap() {
        let mut command = app.command(&["keys", "remove", "--new-secret"]);
        command.arg(key["kid"].as_str().unwrap()).env("AUTH_SECRET_FILE", &wrong);
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }
    let mut command = app.command(&["keys", "list", "--json"]);
    let output = command.env("AUTH_SECRET_FILE", &wrong).output().await.unwrap();
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listed["keys"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed["keys"][0]["opens"], true, "{listed}");
    app.remove().await;
}

#[tokio::test]
async fn auth_with_another_secret_is_not_ready_and_lets_nobody_in() {
    let secret = "of somebody else, and long enough";
    let dir = tempfile::tempdir().unwrap();
    let wrong = dir.path().join("secret");
    std::fs::write(&wrong, secret).unwrap();
    let options = Options::only(&["auth"]);
    let app = App::prepare_on_shared(options.with_for(
        "auth",
        "AUTH_SECRET_FILE",
        wrong.to_str().unwrap(),
    ))
    .await;
    app.component("auth").request_start().await.unwrap();
    let words = eventually("it says why", async || {
        let url = format!("{}/readyz", app.url("auth"));
        let answer = app.http.get(url).send().await.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        let words = answer.text().await.unwrap();
        if status == 503 && words.contains("AUTH_SECRET") { Ok(words) } else { Err(words) }
    })
    .await;
    assert!(words.contains("does not open signing key"), "{words}");
    assert!(!words.contains(secret));
    let url = format!("{}/.well-known/jwks.json", app.url("auth"));
    assert_eq!(app.http.get(url).send().await.unwrap().status(), 503);
    let account = app.account().await;
    let body = serde_json::json!({ "email": account.email, "password": crate::harness::PASSWORD });
    assert_eq!(app.post("auth", "/api/v1/auth/login", &body).await.0, 503);
    app.remove().await;
}
