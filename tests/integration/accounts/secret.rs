//! A change of `AUTH_SECRET`, process by process, which nobody notices.

use std::path::Path;

use mongodb::bson::doc;
use serde_json::{Value, json};

use crate::harness::{App, Heard, Options, PASSWORD, Tokens, eventually, shared_servers, text};

const KEY: &str = "of-a-client-that-repeats";
const REFRESH: &str = "/api/v1/auth/refresh";

/// Runs `keys` under these secrets.
async fn keys(app: &App, verb: &str, secret: &Path, previous: &[&Path]) -> (Option<i32>, Value) {
    let previous: Vec<&str> = previous.iter().map(|path| path.to_str().unwrap()).collect();
    let mut command = app.command(&["keys", verb, "--json"]);
    command.env("AUTH_SECRET_FILE", secret);
    command.env("AUTH_SECRET_PREVIOUS_FILE", previous.join(","));
    let output = command.output().await.unwrap();
    let json = serde_json::from_slice(&output.stdout);
    (output.status.code(), json.unwrap_or_else(|_| Value::String(text(&output))))
}

/// Which secret each key is sealed by, in the order of the list.
fn sealed_by(list: &Value) -> Vec<&str> {
    let keys = list["keys"].as_array().unwrap_or_else(|| panic!("{list}")).iter();
    keys.map(|key| key["sealedBy"].as_str().unwrap_or("none")).collect()
}

fn is_repeat(first: &Heard, repeat: &Heard) {
    assert_eq!((first.status, repeat.status), (201, 201), "{repeat:?}");
    assert_eq!(repeat.body, first.body);
    assert_eq!(repeat.header("idempotency-replayed"), Some("true"), "{repeat:?}");
}

/// `auth` is at the first step of the change and has the new secret beside its own;
/// `second` is at the next one and has the old secret beside the new one; `alone` has
/// the new secret.
async fn changing(new: &Path) -> App {
    let old = shared_servers().await.home().secret_file();
    let old = old.to_str().unwrap();
    let options = Options::only(&["auth"])
        .and("second", "auth")
        .and("alone", "auth")
        .with("SIGNING_KEYS_REFRESH", "1s")
        .with("REFRESH_TOKEN_GRACE", "1m")
        .with_for("auth", "AUTH_SECRET_PREVIOUS_FILE", new.to_str().unwrap())
        .with_for("second", "AUTH_SECRET_FILE", new.to_str().unwrap())
        .with_for("second", "AUTH_SECRET_PREVIOUS_FILE", old)
        .with_for("alone", "AUTH_SECRET_FILE", new.to_str().unwrap());
    App::prepare_on_shared(options).await
}

#[tokio::test]
async fn the_secret_is_changed_and_nobody_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let new = dir.path().join("new");
    std::fs::write(&new, "a new secret, of more than thirty-two bytes\n").unwrap();
    let app = changing(&new).await;
    let old = app.setting("AUTH_SECRET_FILE");
    let old = Path::new(&old);
    for name in ["auth", "second"] {
        app.component(name).request_start().await.unwrap();
        app.ready(name).await;
    }
    let sides = [("auth", "second"), ("second", "auth")];
    for (here, there) in sides {
        // A registration that is repeated at a process with the other secret first.
        let email = app.address();
        let at = async |name: &str, password: &str| {
            app.register_with(name, Some(&format!("{KEY}-{here}")), &email, password).await.unwrap()
        };
        let first = at(here, PASSWORD).await;
        is_repeat(&first, &at(there, PASSWORD).await);
        is_repeat(&first, &at(here, PASSWORD).await);
        let other = at(there, "another long password").await;
        assert_eq!((other.status, other.problem()), (422, "idempotency-key-reused"), "{other:?}");
    }
    let account = app.account().await;
    for (here, there) in sides {
        // Two tabs that refresh at once, each at another process.
        let tokens = app.log_in_at(here, &account).await;
        let body = json!({ "refreshToken": tokens.refresh });
        let (one, two) =
            tokio::join!(app.post(here, REFRESH, &body), app.post(there, REFRESH, &body));
        assert_eq!((one.0, two.0), (200, 200), "{one:?} {two:?}");
        let [one, two] = [one.1, two.1].map(|answer| Tokens::read(&answer));
        assert_eq!(one.refresh, two.refresh, "one successor");
        for name in [here, there] {
            let me = app.ask(name, "/api/v1/users/me", &one.access).await;
            assert_eq!(me.status(), 200, "{name}");
        }
    }
    keys_are_rewrapped(&app, (old, new.as_path())).await;
    let tokens = app.log_in_at("alone", &account).await;
    assert_eq!(app.me(&tokens.access).await, 200, "auth knows the keys that it had read");
    a_device_counts_while_its_secret_does(&app).await;
    app.remove().await;
}

/// A client whose network has no tries left logs in by a device token of the old secret, as
/// long as that one stands beside the new one.
async fn a_device_counts_while_its_secret_does(app: &App) {
    let account = app.account().await;
    let login = async |name: &str, password: &str, cookie: &str| {
        let url = format!("{}/api/v1/auth/login", app.url(name));
        let body = json!({ "email": account.email, "password": password });
        app.http.post(url).header("cookie", cookie).json(&body).send().await.unwrap()
    };
    let answer = login("auth", PASSWORD, "").await;
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap();
    for (name, known) in [("second", 200), ("alone", 429)] {
        let mut refused = false;
        for _ in 0..40 {
            refused = login(name, "not the one it is", "").await.status() == 429;
            if refused {
                break;
            }
        }
        assert!(refused, "{name}: the network has tries for ever");
        assert_eq!(login(name, PASSWORD, cookie).await.status(), known, "{name}");
    }
}

/// Before, the process with the new secret alone is not ready; afterwards it is.
async fn keys_are_rewrapped(app: &App, (old, new): (&Path, &Path)) {
    app.component("alone").request_start().await.unwrap();
    eventually("it says what to do", async || {
        let url = format!("{}/readyz", app.url("alone"));
        let answer = app.http.get(url).send().await.map_err(|error| error.to_string())?;
        let words = answer.text().await.unwrap();
        if words.contains("AUTH_SECRET_PREVIOUS") { Ok(()) } else { Err(words) }
    })
    .await;
    let (code, said) = keys(app, "rewrap", new, &[]).await;
    assert_eq!(code, Some(64), "{said}");
    assert!(said.as_str().unwrap().contains("AUTH_SECRET_PREVIOUS"), "{said}");

    assert_eq!(keys(app, "rotate", new, &[old]).await.0, Some(0));
    let (_, list) = keys(app, "list", new, &[old]).await;
    assert_eq!(sealed_by(&list), ["previous", "current"], "{list}");
    let kids: Vec<&Value> =
        list["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    let (code, done) = keys(app, "rewrap", new, &[old]).await;
    let expected = json!({ "rewrapped": [kids[0]], "already": [kids[1]], "closed": [] });
    assert_eq!((code, done), (Some(0), expected));
    let (code, done) = keys(app, "rewrap", new, &[old]).await;
    let expected = json!({ "rewrapped": [], "already": kids, "closed": [] });
    assert_eq!((code, done), (Some(0), expected), "safe to repeat");
    for (secret, previous, sealed) in
        [(new, &[][..], ["current"; 2]), (old, &[new], ["previous"; 2]), (old, &[], ["none"; 2])]
    {
        let (_, list) = keys(app, "list", secret, previous).await;
        assert_eq!(sealed_by(&list), sealed, "{}, {} beside it", secret.display(), previous.len());
    }
    app.ready("alone").await;
}

/// MongoDB refuses to change the second of two keys: that the first was changed is said.
#[tokio::test]
async fn a_rewrapping_that_fails_has_said_what_it_had_done() {
    let app = App::start_with(Options::only(&[])).await;
    let dir = tempfile::tempdir().unwrap();
    let new = dir.path().join("new");
    std::fs::write(&new, "the new secret, of more than thirty-two bytes").unwrap();
    let old = app.setting("AUTH_SECRET_FILE");
    let old = Path::new(&old);
    let (code, list) = keys(&app, "rotate", old, &[]).await;
    assert_eq!(code, Some(0), "{list}");
    let kid = |index: usize| list["keys"][index]["kid"].as_str().unwrap();
    let never = doc! { "_id": { "$ne": kid(1) } };
    let refuse =
        doc! { "collMod": "signing_keys", "validator": never, "validationLevel": "strict" };
    app.auth_database().await.run_command(refuse).await.unwrap();
    let mut command = app.command(&["keys", "rewrap"]);
    command.env("AUTH_SECRET_FILE", &new).env("AUTH_SECRET_PREVIOUS_FILE", old);
    let output = command.output().await.unwrap();
    assert!(!output.status.success(), "{}", text(&output));
    let said = text(&output);
    assert!(said.contains(&format!("recorded key_rewrapped: {}", kid(0))), "{said}");
    assert!(!said.contains(&format!("recorded key_rewrapped: {}", kid(1))), "{said}");
    let (_, list) = keys(&app, "list", &new, &[old]).await;
    assert_eq!(sealed_by(&list), ["current", "previous"], "{list}");
    app.remove().await;
}

/// One key under a secret that nobody has any more beside one that opens.
#[tokio::test]
async fn a_key_that_no_secret_opens_is_named_and_the_others_are_rewrapped() {
    let app = App::start_with(Options::only(&[])).await;
    let dir = tempfile::tempdir().unwrap();
    let [new, gone] = ["new", "gone"].map(|name| {
        let file = dir.path().join(name);
        std::fs::write(&file, format!("the {name} secret, of more than thirty-two bytes")).unwrap();
        file
    });
    let old = app.setting("AUTH_SECRET_FILE");
    let old = Path::new(&old);
    assert_eq!(keys(&app, "rotate", &gone, &[old]).await.0, Some(0));
    let (_, list) = keys(&app, "list", &new, &[old]).await;
    assert_eq!(sealed_by(&list), ["previous", "none"], "{list}");
    let (code, done) = keys(&app, "rewrap", &new, &[old]).await;
    let kid = |index: usize| &list["keys"][index]["kid"];
    let expected = json!({ "rewrapped": [kid(0)], "already": [], "closed": [kid(1)] });
    assert_eq!((code, done), (Some(1), expected));
    let output = app.command(&["keys", "rewrap"]).env("AUTH_SECRET_FILE", &new).output();
    let said = text(&output.await.unwrap());
    assert!(said.contains(kid(1).as_str().unwrap()), "{said}");
    assert!(said.contains("AUTH_SECRET_PREVIOUS"), "{said}");
    app.remove().await;
}
