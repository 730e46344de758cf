use mongodb::bson::{Bson, Document, doc};
use serde_json::Value;

use super::{NO_UTF8, put, with};
use crate::harness::{App, binary};

#[tokio::test]
async fn doctor_audit_and_the_lists_name_each_document_that_cannot_be_read() {
    let app = App::start().await;
    let (victim, other) = (app.account().await, app.account().await);
    app.log_in(&victim).await;
    let tokens = app.log_in(&victim).await;
    app.keyed("a-key-of-this-test", &app.address(), "correct horse battery").await;
    app.nothing_is_left().await;
    app.is_clean().await;
    let database = app.auth_database().await;
    let mut expected = Vec::new();
    let user = doc! { "_id": binary(victim.user_id.parse().unwrap()) };
    for (collection, field, value) in [
        ("users", "roles", Bson::from("admin")),
        ("sessions", "createdAt", Bson::from(7)),
        ("refresh_tokens", "usedAt", Bson::from(NO_UTF8)),
        ("signing_keys", "createdAt", Bson::Null),
        ("idempotency_keys", "fingerprint", Bson::from("none")),
    ] {
        let documents = database.collection::<Document>(collection);
        let filter = if collection == "users" {
            user.clone()
        } else {
            doc! {}
        };
        let sound = documents.find_one(filter).await.unwrap().unwrap();
        put(&documents, &with(&sound, field, Some(&value))).await;
        expected.push((collection, onboard_mongo::name(&sound), field));
    }
    let doctor = app.tool(&["doctor"]).await.json;
    let findings = doctor["findings"].as_array().unwrap();
    let documents = findings.iter().find(|one| one["check"] == "documents").unwrap();
    assert_eq!(documents["verdict"], "warn", "{documents}");
    let (_, report) = app.audit(&["--grace", "0s"]).await;
    for (collection, id, field) in &expected {
        let found = documents["found"].as_str().unwrap();
        assert!(found.contains(&format!("{collection} {id}: {field} is")), "{id}: {found}");
        let named = report["violations"].as_array().unwrap().iter().any(|one| {
            let (kind, name) = (one["kind"].as_str().unwrap(), one["id"].as_str().unwrap());
            match *collection {
                "users" => kind == "user_altered" && name == id,
                _ => kind == "document_unreadable" && name == format!("{collection} {id}"),
            }
        });
        assert!(named, "{collection} {id}: {report:#}");
    }
    let listed = app.tool(&["users", "list"]).await.yes();
    let ids = |name: &str, id: &str| -> Vec<Value> {
        listed[name].as_array().unwrap().iter().map(|one| one[id].clone()).collect()
    };
    assert_eq!(ids("unreadable", "id"), [Value::from(victim.user_id.clone())], "{listed}");
    assert!(ids("users", "userId").contains(&Value::from(other.user_id.clone())), "{listed}");
    assert!(!ids("users", "userId").contains(&Value::from(victim.user_id.clone())), "{listed}");
    assert_eq!(app.tool(&["users", "show", &victim.user_id]).await.code, Some(1));
    assert_eq!(app.tool(&["users", "grant", &victim.user_id, "admin"]).await.code, Some(1));
    assert_eq!(app.me(&tokens.access).await, 401);
    app.remove().await;
}
