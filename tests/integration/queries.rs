//! What auth and the todos API ask MongoDB, as the server's profiler has seen it: each
//! query by an index, in the order of the index.

use futures::TryStreamExt;
use mongodb::Database;
use mongodb::bson::{Document, doc};
use onboard_contract::UserId;
use serde_json::json;
use uuid::Uuid;

use crate::harness::{App, Options, PASSWORD, Tokens};

/// Records every operation on a database.
async fn watch(database: &Database) {
    database.run_command(doc! { "profile": 2 }).await.unwrap();
}

/// The plans of what was asked of these collections: `(what, plan, sorted in memory)`.
async fn plans(database: &Database, collections: &[&str]) -> Vec<(String, String, bool)> {
    database.run_command(doc! { "profile": 0 }).await.unwrap();
    let profile = database.collection::<Document>("system.profile");
    let names: Vec<String> =
        collections.iter().map(|name| format!("{}.{name}", database.name())).collect();
    let asked = doc! { "ns": { "$in": names }, "planSummary": { "$exists": true } };
    let found: Vec<Document> = profile.find(asked).await.unwrap().try_collect().await.unwrap();
    profile.drop().await.unwrap();
    let plan = |one: Document| {
        let what =
            format!("{} {}", one.get_str("ns").unwrap(), one.get_document("command").unwrap());
        let plan = one.get_str("planSummary").unwrap().to_owned();
        (what, plan, one.get_bool("hasSortStage").unwrap_or_default())
    };
    found.into_iter().map(plan).collect()
}

fn assert_by_index(plans: &[(String, String, bool)], least: usize) {
    assert!(plans.len() >= least, "the queries were seen: {plans:#?}");
    for (what, plan, sorted) in plans {
        assert!(!plan.contains("COLLSCAN"), "{plan}: {what}");
        assert!(!sorted, "sorted in memory: {what}");
    }
}

/// A life of an account: each request at least once, with and without success.
async fn a_life(app: &App, email: &str) -> (Tokens, String) {
    let made = app.keyed("one-key", email, PASSWORD).await;
    assert_eq!(made.status, 201);
    app.keyed("one-key", email, PASSWORD).await;
    app.keyed("another-key", email, PASSWORD).await;
    let url = format!("{}{}", app.url("auth"), made.header("location").unwrap());
    assert_eq!(app.http.get(url).send().await.unwrap().status(), 200);
    let login = json!({ "email": email.to_uppercase(), "password": PASSWORD });
    let (status, answer) = app.post("auth", "/api/v1/auth/login", &login).await;
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = app.refresh(&Tokens::read(&answer).refresh).await;
    assert_eq!(status, 200, "{answer}");
    (Tokens::read(&answer), made.body["userId"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn every_query_of_auth_and_of_the_todos_api_is_served_by_an_index() {
    let app = App::start_with(Options::default().with("SIGNING_KEYS_REFRESH", "1s")).await;
    let (auth, todo) = (app.auth_database().await, app.todo_database().await);
    watch(&auth).await;
    watch(&todo).await;
    let (tokens, id) = a_life(&app, "stra\u{df}e@example.com").await;
    assert_eq!(app.me(&tokens.access).await, 200);
    app.nothing_is_left().await;
    let person = app.holder(&tokens.access, UserId::from(id.parse::<Uuid>().unwrap()));
    for title in ["one", "two", "three"] {
        let todo = person.add(title).await.id();
        person.read(&todo).await;
        person.change(&todo, &json!({ "completed": true })).await;
        person.change_if(&todo, "\"7\"", &json!({ "completed": true })).await;
    }
    let all = person.all(2).await;
    assert_eq!(all.len(), 4, "the welcome todo and three");
    for todo in all {
        person.delete(todo).await;
    }
    let logout = json!({ "refreshToken": tokens.refresh });
    assert_eq!(app.post("auth", "/api/v1/auth/logout", &logout).await.0, 204);

    let names = ["users", "sessions", "refresh_tokens", "signing_keys", "idempotency_keys"];
    assert_by_index(&plans(&auth, &names).await, 15);
    assert_by_index(&plans(&todo, &["todos"]).await, 20);
    app.remove().await;
}
