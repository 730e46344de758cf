//! Security events: what is recorded, by whom, and how it is listed.

use futures::TryStreamExt;
use mongodb::bson::{Document, doc};
use serde_json::{Value, json};

use crate::harness::{Account, App, Options, PASSWORD, Tokens, text};

const LOGIN: &str = "/api/v1/auth/login";

/// What a listing says, the oldest first.
async fn events(app: &App, args: &[&str]) -> Vec<Value> {
    let listed = app.tool(&[&["events"], args].concat()).await.yes();
    assert_eq!((&listed["more"], &listed["unreadable"]), (&json!(false), &json!([])), "{listed}");
    let mut events = listed["events"].as_array().unwrap().clone();
    events.reverse();
    events
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["kind"].as_str().unwrap()).collect()
}

/// Logs in wrongly, rightly, again, refreshes twice with one token, and logs out.
async fn a_life(app: &App, account: &Account) {
    let wrong = json!({ "email": account.email, "password": "another one" });
    assert_eq!(app.post("auth", LOGIN, &wrong).await.0, 401);
    let first = app.log_in(account).await;
    assert_eq!(app.refresh(&first.refresh).await.0, 200);
    assert_eq!(app.refresh(&first.refresh).await.0, 401, "used twice");
    let second = app.log_in(account).await;
    let body = json!({ "refreshToken": second.refresh });
    for _ in 0..2 {
        assert_eq!(app.post("auth", "/api/v1/auth/logout", &body).await.0, 204);
    }
    app.log_in(account).await;
    let third = app.log_in(account).await;
    let (status, answer) = app.refresh(&third.refresh).await;
    assert_eq!(status, 200, "{answer}");
    Tokens::read(&answer);
}

#[tokio::test]
async fn what_happens_to_an_account_is_recorded_with_who_did_it() {
    let options = Options::only(&["auth"])
        .with("REFRESH_TOKEN_GRACE", "0s")
        .with("SESSIONS_PER_USER_MAX", "1")
        .with_for("auth", "SECURITY_EVENTS_RETENTION", "2d");
    let app = App::start_with(options).await;
    let (ada, bob) = (app.account().await, app.account().await);
    a_life(&app, &ada).await;
    let nobody = json!({ "email": "nobody@example.com", "password": PASSWORD });
    assert_eq!(app.post("auth", LOGIN, &nobody).await.0, 401);
    let grant = ["users", "--actor", "grace", "grant", &ada.email, "admin"];
    app.tool(&grant).await.yes();
    assert_eq!(app.tool(&grant).await.yes()["changed"], false, "no change, no event");

    let of_ada = events(&app, &["--user", &ada.email]).await;
    let wanted = [
        "registered",
        "login_failed",
        "logged_in",
        "session_reused",
        "logged_in",
        "logged_out",
        "logged_in",
        "logged_in",
        "session_limit",
        "role_granted",
    ];
    assert_eq!(kinds(&of_ada), wanted);
    for event in &of_ada {
        assert_eq!(event["userId"], ada.user_id, "{event}");
        assert!(!event.to_string().contains("127.0.0.1"), "{event}");
    }
    let network = of_ada[1]["network"].as_str().unwrap();
    assert_eq!(network.len(), 32);
    assert!(of_ada[1..9].iter().all(|event| event["network"] == network), "one client: {of_ada:?}");
    assert_eq!(of_ada[2]["sessionId"], of_ada[3]["sessionId"], "of one session");
    let granted = &of_ada[9];
    assert_eq!((&granted["role"], &granted["actor"]), (&json!("admin"), &json!("grace")));
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap();
    let os_user = granted["osUser"].as_str().unwrap();
    assert!(os_user.starts_with(&format!("{}@", user.name)), "{os_user}");
    assert_eq!(granted["network"], Value::Null);

    let failed = events(&app, &["--kind", "login_failed"]).await;
    assert_eq!(failed.len(), 2, "of an address that nobody has, too");
    assert_eq!(failed[1]["userId"], Value::Null);
    assert_eq!(kinds(&events(&app, &["--user", &bob.user_id]).await), ["registered"]);
    let since = ["--user", &ada.user_id, "--since", "2100-01-01T00:00:00Z"];
    assert_eq!(events(&app, &since).await, Vec::<Value>::new());
    let few = app.tool(&["events", "--limit", "2"]).await.yes();
    assert_eq!((few["events"].as_array().unwrap().len(), &few["more"]), (2, &json!(true)));
    assert_eq!(few["events"][0]["kind"], "role_granted", "the newest first");
    let unknown = app.tool(&["events", "--user", "nobody@example.com"]).await;
    assert_eq!(unknown.code, Some(1), "{}", unknown.text);

    let stored = app.auth_database().await.collection::<Document>("security_events");
    let stored: Vec<Document> =
        stored.find(doc! { "kind": "logged_in" }).await.unwrap().try_collect().await.unwrap();
    for event in stored {
        let at = |name: &str| event.get_datetime(name).unwrap().timestamp_millis();
        assert_eq!(at("expiresAt") - at("at"), 2 * 86_400_000, "{event}");
    }
    app.remove().await;
}

/// The line comes whatever is logged, and with `--json`, too.
#[tokio::test]
async fn a_tool_that_changes_something_says_so_at_every_log_level() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let ada = app.account().await;
    let listed = app.tool(&["keys", "list"]).await.yes();
    let kid = listed["keys"][0]["kid"].as_str().unwrap().to_owned();
    let grant: &[&str] = &["users", "grant", &ada.user_id, "admin"];
    let revoke: &[&str] = &["users", "revoke", &ada.user_id, "admin", "--json"];
    let mut rotated = Vec::new();
    for (level, args, said) in [
        ("off", grant, format!("recorded role_granted: admin of user {}", ada.user_id)),
        ("error", revoke, format!("recorded role_revoked: admin of user {}", ada.user_id)),
        ("warn", &["keys", "rotate"], "recorded key_rotated: ".to_owned()),
        ("warn", &["keys", "rotate", "--now"], "recorded key_rotated: ".to_owned()),
        ("trace", &["keys", "remove", &kid, "--json"], format!("recorded key_removed: {kid}")),
    ] {
        let mut command = app.command(args);
        command.env("RUST_LOG", level).env("ONBOARD_ACTOR", "grace");
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{args:?}: {}", text(&output));
        let errors = String::from_utf8_lossy(&output.stderr);
        let line = errors.lines().find(|line| line.contains(&said));
        let line = line.unwrap_or_else(|| panic!("{level} {args:?}: {errors}"));
        assert!(line.contains("by grace (as "), "{line}");
        let of_rotation =
            line.split_once("key_rotated: ").and_then(|(_, rest)| rest.split_once(','));
        rotated.extend(of_rotation.map(|(kid, _)| kid.to_owned()));
    }
    let of_keys = events(&app, &["--kind", "key_removed"]).await;
    assert_eq!((&of_keys[0]["kid"], &of_keys[0]["actor"]), (&json!(kid), &json!("grace")));
    let recorded = events(&app, &["--kind", "key_rotated"]).await;
    let recorded: Vec<&str> = recorded.iter().map(|event| event["kid"].as_str().unwrap()).collect();
    assert_eq!(recorded, rotated, "each names the key that it made, also beside one that waits");
    assert_eq!(events(&app, &["--kind", "key_made"]).await.len(), 1);
    app.remove().await;
}
