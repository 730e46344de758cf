use futures::TryStreamExt;
use mongodb::bson::{Document, doc};
use serde_json::{Value, json};

use crate::harness::{Account, App, Options, Tokens, claims, text};

async fn status_of(app: &App, token: &str, account: &Account) -> u16 {
    let path = format!("/api/v1/users/{}", account.user_id);
    app.ask("auth", &path, token).await.status().as_u16()
}

#[tokio::test]
async fn an_admin_is_made_by_an_operator_and_sees_others() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let (admin, other) = (app.account().await, app.account().await);
    let none = app.tool(&["users", "list", "--role", "admin"]).await.yes();
    assert_eq!(none["users"], json!([]), "there is no default admin");
    let tokens = app.log_in(&admin).await;
    assert_eq!(status_of(&app, &tokens.access, &other).await, 403);
    assert_eq!(status_of(&app, &tokens.access, &admin).await, 403, "not even oneself");

    let grant = ["users", "--actor", "grace", "grant", &admin.email.to_uppercase(), "admin"];
    let granted = app.tool(&grant).await.yes();
    let expected = json!({"userId": admin.user_id, "roles": ["user", "admin"], "changed": true});
    assert_eq!(granted, expected);
    assert_eq!(app.tool(&grant).await.yes()["changed"], false);
    assert_eq!(status_of(&app, &tokens.access, &other).await, 403, "the token is of before");
    let (_, answer) = app.refresh(&tokens.refresh).await;
    let tokens = Tokens::read(&answer);
    assert_eq!(claims(&tokens.access)["roles"], json!(["user", "admin"]));
    let seen = app.ask("auth", &format!("/api/v1/users/{}", other.user_id), &tokens.access).await;
    let seen: Value = seen.json().await.unwrap();
    assert_eq!((&seen["userId"], &seen["email"]), (&json!(other.user_id), &json!(other.email)));
    for unknown in [&uuid::Uuid::new_v4().to_string(), "42", "%00", "me%2f"] {
        let answer = app.ask("auth", &format!("/api/v1/users/{unknown}"), &tokens.access).await;
        assert_eq!(answer.status(), 404, "{unknown}");
    }

    let revoke = ["users", "--actor", "grace", "revoke", &admin.user_id, "admin"];
    assert_eq!(app.tool(&revoke).await.yes()["roles"], json!(["user"]));
    let me = app.ask("auth", "/api/v1/users/me", &tokens.access).await;
    let me: Value = me.json().await.unwrap();
    assert_eq!(me["roles"], json!(["user"]), "me is of now");
    let (_, answer) = app.refresh(&tokens.refresh).await;
    assert_eq!(status_of(&app, &Tokens::read(&answer).access, &other).await, 403);

    let records = app.auth_database().await.collection::<Document>("role_changes");
    let records: Vec<Document> =
        records.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap().try_collect().await.unwrap();
    let said: Vec<_> =
        records.iter().map(|r| (r.get_str("act").unwrap(), r.get_str("actor").unwrap())).collect();
    assert_eq!(said, [("grant", "grace"), ("revoke", "grace")], "what changed nothing is none");
    app.remove().await;
}

#[tokio::test]
async fn the_tool_shows_users_and_says_what_it_cannot_do() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let account = app.account().await;
    let shown = app.tool(&["users", "show", &account.email]).await.yes();
    assert_eq!(shown["userId"], account.user_id);
    assert_eq!(app.tool(&["users", "show", &account.user_id]).await.yes(), shown);
    let listed = app.tool(&["users", "list", "--role", "user"]).await.yes();
    assert_eq!(listed["users"], json!([shown]));
    for args in [
        ["users", "show", "nobody@example.com"].as_slice(),
        &["users", "grant", &uuid::Uuid::new_v4().to_string(), "admin"],
    ] {
        assert_eq!(app.tool(args).await.no(), Value::Null);
    }
    for args in [
        ["users", "revoke", &account.email, "user"],
        ["users", "grant", &account.email, "root"],
        ["users", "grant", "nobody", "admin"],
    ] {
        let output = app.onboard(&args).await;
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    }
    app.remove().await;
}

#[tokio::test]
async fn users_are_counted_and_listed_page_by_page() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(app.account().await.user_id);
    }
    all.reverse();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = ["users", "list", "--limit", "2"].map(str::to_owned);
        let page: Vec<String> = page.into_iter().chain(after.take()).collect();
        let page: Vec<&str> = page.iter().map(String::as_str).collect();
        let listed = app.tool(&page).await.yes();
        assert_eq!(listed["total"], 5, "{listed}");
        let users = listed["users"].as_array().unwrap().clone();
        seen.extend(users.iter().map(|user| user["userId"].as_str().unwrap().to_owned()));
        let Some(next) = listed["next"].as_str() else { break };
        assert_eq!(users.len(), 2, "{listed}");
        after = Some(format!("--after={next}"));
    }
    assert_eq!(seen, all, "the youngest first, each once");
    let said = text(&app.onboard(&["users", "list", "--limit", "2"]).await);
    assert!(said.contains("2 of 5 users"), "{said}");
    let next = format!("onboard users list --limit 2 --after {}", all[1]);
    assert!(said.contains(&next), "{said}");
    let admins = app.tool(&["users", "list", "--role", "admin"]).await.yes();
    assert_eq!((&admins["total"], &admins["next"]), (&json!(0), &Value::Null));
    let nobody = uuid::Uuid::new_v4().to_string();
    app.tool(&["users", "list", "--after", &nobody]).await.no();
    app.remove().await;
}

#[tokio::test]
async fn the_actor_is_the_user_of_the_operating_system_whatever_the_environment_says() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let account = app.account().await;
    let mut grant = app.command(&["users", "grant", &account.email, "admin"]);
    let granted = grant.env("USER", "mallory").env_remove("ONBOARD_ACTOR").output().await.unwrap();
    assert!(granted.status.success(), "{}", text(&granted));
    let records = app.auth_database().await.collection::<Document>("role_changes");
    let record = records.find_one(doc! {}).await.unwrap().unwrap();
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap();
    let actor = record.get_str("actor").unwrap();
    assert!(actor.starts_with(&format!("{}@", user.name)), "{actor}");
    app.remove().await;
}
