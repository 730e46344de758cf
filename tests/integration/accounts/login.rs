use mongodb::bson::doc;
use serde_json::{Value, json};

use crate::harness::{Account, App, Options, PASSWORD, Tokens, binary, claims, header};

const LOGIN: &str = "/api/v1/auth/login";

async fn hash_of(app: &App, account: &Account) -> String {
    let id = binary(account.user_id.parse().unwrap());
    let user = app.users().await.find_one(doc! { "_id": id }).await.unwrap().unwrap();
    user.get_str("passwordHash").unwrap().to_owned()
}

#[tokio::test]
async fn a_login_gives_a_token_that_shows_who_one_is() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let account = app.account().await;
    let body = json!({ "email": account.email.to_uppercase(), "password": PASSWORD });
    let answer = app.try_post("auth", LOGIN, &body).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let answer: Value = answer.json().await.unwrap();
    assert_eq!((&answer["tokenType"], &answer["expiresIn"]), (&json!("Bearer"), &json!(900)));
    assert_eq!(answer.as_object().unwrap().len(), 4, "{answer}");
    let tokens = Tokens::read(&answer);

    let said = claims(&tokens.access);
    assert_eq!(said["sub"], account.user_id);
    assert_eq!((&said["iss"], &said["aud"]), (&json!("onboard-auth"), &json!("onboard")));
    assert_eq!(said["roles"], json!(["user"]));
    assert_eq!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(), 900);
    assert!(!said.to_string().contains('@'), "no personal data in a token");
    let kids = app.jwks().await["keys"].as_array().unwrap().clone();
    assert_eq!(header(&tokens.access)["kid"], kids[0]["kid"]);

    let me = app.ask("auth", "/api/v1/users/me", &tokens.access).await;
    assert_eq!(me.status(), 200);
    let me: Value = me.json().await.unwrap();
    assert_eq!(me["userId"], account.user_id);
    assert_eq!(me["email"], account.email);
    assert_eq!(me["roles"], json!(["user"]));
    assert!(me["createdAt"].as_str().unwrap().ends_with('Z'), "{me}");
    assert_eq!(app.counter("auth", "logins_total", "success").await, 1);
    app.remove().await;
}

#[tokio::test]
async fn whatever_is_wrong_with_a_login_the_answer_is_the_same() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let account = app.account().await;
    let unknown = app.address();
    let (long, longest) = ("x".repeat(1025), "x".repeat(15_000));
    let cases = [
        (account.email.as_str(), "correct horse batterx"),
        (&account.email, "correct horse battery "),
        (&account.email, ""),
        (&account.email, &long),
        (&account.email, &longest),
        (&unknown, PASSWORD),
        (&unknown, &long),
        ("no address", PASSWORD),
        ("", ""),
        ("{\"$gt\":\"\"}", PASSWORD),
    ];
    let mut answers = Vec::new();
    for (email, password) in cases {
        let body = json!({ "email": email, "password": password });
        let answer = app.try_post("auth", LOGIN, &body).await.unwrap();
        assert_eq!(answer.status(), 401, "{email:?}");
        assert!(answer.headers().contains_key("www-authenticate"));
        let mut names: Vec<String> = answer.headers().keys().map(ToString::to_string).collect();
        names.sort_unstable();
        let mut problem: Value = answer.json().await.unwrap();
        problem["traceId"].take();
        answers.push((names, problem));
    }
    assert_eq!(answers[0].1["type"], "/problems/invalid-credentials");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    let refused = app.counter("auth", "logins_total", "invalid-credentials").await;
    assert_eq!(refused, cases.len() as u64);
    let sessions = app.auth_database().await.collection::<mongodb::bson::Document>("sessions");
    assert_eq!(sessions.count_documents(doc! {}).await.unwrap(), 0);
    for body in [json!({}), json!({ "email": { "$ne": null }, "password": { "$ne": null } })] {
        let (status, problem) = app.post("auth", LOGIN, &body).await;
        assert_eq!((status, problem["errors"].as_array().unwrap().len()), (422, 2), "{problem}");
    }
    app.remove().await;
}

#[tokio::test]
async fn a_weaker_hash_is_replaced_at_the_next_login_and_never_weakened() {
    let options = Options::only(&["auth"]).and("stronger", "auth");
    let options = options.with_for("stronger", "ARGON2_MEMORY_KIB", "16");
    let app = App::start_with(options).await;
    let account = app.account().await;
    let weak = hash_of(&app, &account).await;
    assert!(weak.contains("m=8,t=1"), "{weak}");
    app.log_in(&account).await;
    assert_eq!(hash_of(&app, &account).await, weak, "the settings have not risen");
    let wrong = json!({ "email": account.email, "password": "correct horse batterx" });
    assert_eq!(app.post("stronger", LOGIN, &wrong).await.0, 401);
    assert_eq!(hash_of(&app, &account).await, weak, "nobody logged in");
    app.log_in_at("stronger", &account).await;
    let strong = hash_of(&app, &account).await;
    assert!(strong.contains("m=16,t=1"), "{strong}");
    for component in ["stronger", "auth"] {
        app.log_in_at(component, &account).await;
        assert_eq!(hash_of(&app, &account).await, strong, "{component}");
    }
    app.remove().await;
}

#[tokio::test]
async fn a_hash_that_cannot_be_replaced_fails_no_login() {
    let options = Options::only(&["auth"]).and("stronger", "auth");
    let options = options.with_for("stronger", "ARGON2_MEMORY_KIB", "16");
    let app = App::start_with(options).await;
    let account = app.account().await;
    let weak = hash_of(&app, &account).await;
    // All but a change of that user, whose hash is what would change.
    let never = doc! { "$jsonSchema": { "properties": {
        "passwordHash": { "bsonType": "string", "pattern": "m=8," },
    } } };
    let strict = doc! { "collMod": "users", "validator": never, "validationLevel": "strict" };
    app.auth_database().await.run_command(strict).await.unwrap();
    app.log_in_at("stronger", &account).await;
    assert_eq!(hash_of(&app, &account).await, weak);
    app.remove().await;
}

#[tokio::test]
async fn lifetimes_issuer_and_audience_are_settings() {
    let options = Options::only(&["auth"])
        .and("other-issuer", "auth")
        .and("other-audience", "auth")
        .with_for("auth", "ACCESS_TOKEN_LIFETIME", "90s")
        .with_for("auth", "REFRESH_TOKEN_LIFETIME", "1h")
        .with_for("auth", "SESSION_LIFETIME", "2h")
        .with_for("other-issuer", "TOKEN_ISSUER", "somebody-else")
        .with_for("other-audience", "TOKEN_AUDIENCE", "something-else");
    let app = App::start_with(options).await;
    let account = app.account().await;
    let tokens = app.log_in(&account).await;
    let said = claims(&tokens.access);
    assert_eq!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(), 90);
    for (collection, hours) in [("refresh_tokens", 1), ("sessions", 2)] {
        let found = app.auth_database().await.collection::<mongodb::bson::Document>(collection);
        let found = found.find_one(doc! {}).await.unwrap().unwrap();
        let at = |name: &str| found.get_datetime(name).unwrap().timestamp_millis();
        assert_eq!(at("expiresAt") - at("createdAt"), hours * 3_600_000, "{collection}");
    }
    assert_eq!(app.me(&tokens.access).await, 200);
    for other in ["other-issuer", "other-audience"] {
        let answer = app.ask(other, "/api/v1/users/me", &tokens.access).await;
        assert_eq!(answer.status(), 401, "{other}");
        let own = app.log_in_at(other, &account).await;
        let answer = app.ask(other, "/api/v1/users/me", &own.access).await;
        assert_eq!(answer.status(), 200, "{other}");
        assert_eq!(app.me(&own.access).await, 401, "{other}");
    }
    app.remove().await;
}
