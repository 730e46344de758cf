//! MongoDB's operators where a string is asked for.

use mongodb::bson::doc;
use serde_json::{Value, json};

use crate::harness::{App, Options};

/// What an injection looks like.
fn payloads() -> Vec<Value> {
    vec![
        json!({ "$gt": "" }),
        json!({ "$ne": null }),
        json!({ "$regex": ".*" }),
        json!({ "$where": "sleep(5000)" }),
        json!({ "$in": ["victim@example.com"] }),
        json!({ "email": "victim@example.com" }),
        json!({ "a.b": { "$exists": true } }),
        json!([{ "$gt": "" }]),
        json!(["victim@example.com"]),
        json!([]),
        json!({}),
        json!(true),
        json!(0),
        json!(1.5e300),
        Value::Null,
    ]
}

async fn post(app: &App, path: &str, body: &Value) -> (u16, Value) {
    let url = format!("{}/api/v1/auth/{path}", app.url("auth"));
    let answer = app.http.post(url).json(body).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

/// Everything that is kept about accounts.
async fn kept(app: &App) -> Vec<(String, u64)> {
    let database = app.auth_database().await;
    let mut names = database.list_collection_names().await.unwrap();
    names.sort();
    let mut kept = Vec::new();
    for name in names {
        let collection = database.collection::<mongodb::bson::Document>(&name);
        kept.push((name, collection.count_documents(doc! {}).await.unwrap()));
    }
    kept
}

#[tokio::test]
async fn an_operator_is_never_taken_for_a_string() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let victim = json!({ "email": "victim@example.com", "password": "correct horse battery" });
    assert_eq!(post(&app, "register", &victim).await.0, 201);
    let before = kept(&app).await;
    for (path, good) in [
        ("register", victim.clone()),
        ("login", victim),
        ("refresh", json!({ "refreshToken": "x" })),
        ("logout", json!({ "refreshToken": "x" })),
    ] {
        let fields: Vec<String> = good.as_object().unwrap().keys().cloned().collect();
        for field in &fields {
            for payload in payloads() {
                let mut body = good.clone();
                body[field] = payload;
                let (status, problem) = post(&app, path, &body).await;
                assert_eq!(status, 422, "{path} {body}: {problem}");
                let pointer = format!("#/{field}");
                assert_eq!(problem["errors"][0]["pointer"], pointer, "{path} {body}: {problem}");
            }
        }
        let operators = json!({ "$where": "1", "$or": [{}], "email.$gt": "", "__proto__": {} });
        let (status, problem) = post(&app, path, &operators).await;
        assert_eq!(status, 422, "{path}: {problem}");
    }
    assert_eq!(kept(&app).await, before, "nothing was changed");
    app.remove().await;
}

#[tokio::test]
async fn keys_with_dollars_and_dots_beside_the_fields_are_ignored() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let body = json!({
        "email": "ada@example.com", "password": "correct horse battery",
        "$set": { "roles": ["admin"] }, "roles": ["admin"], "roles.0": "admin",
        "emailCanonical": "bob@example.com", "_id": 1, "passwordHash": "x",
    });
    assert_eq!(post(&app, "register", &body).await.0, 201);
    let user = app.users().await.find_one(doc! {}).await.unwrap().unwrap();
    assert_eq!(user.get_str("emailCanonical").unwrap(), "ada@example.com");
    assert!(user.get_str("passwordHash").unwrap().starts_with("$argon2id$"));
    assert!(!user.to_string().contains("admin"), "{user}");
    app.remove().await;
}
