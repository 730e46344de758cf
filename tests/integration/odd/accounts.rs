use mongodb::Collection;
use mongodb::bson::{Bson, DateTime, Document, doc};
use serde_json::{Value, json};

use super::{is_id, is_served, put, values, with};
use crate::harness::{Account, App, Options, PASSWORD, Tokens, binary, claims};

const LOGIN: &str = "/api/v1/auth/login";

async fn try_log_in(app: &App, account: &Account) -> (u16, Value) {
    let body = json!({ "email": account.email, "password": PASSWORD });
    app.post("auth", LOGIN, &body).await
}

async fn collection(app: &App, name: &str) -> Collection<Document> {
    app.auth_database().await.collection(name)
}

/// An administrator, who is served whatever happens to the other.
async fn admin(app: &App) -> Tokens {
    let admin = app.account().await;
    app.tool(&["users", "grant", &admin.email, "admin"]).await.yes();
    app.log_in(&admin).await
}

#[tokio::test]
async fn a_user_of_any_kind_counts_as_absent_and_keeps_nobody_out() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let (victim, other, admin) = (app.account().await, app.account().await, admin(&app).await);
    let mut tokens = app.log_in(&victim).await;
    let users = app.users().await;
    let this = doc! { "_id": binary(victim.user_id.parse().unwrap()) };
    let sound = users.find_one(this.clone()).await.unwrap().unwrap();
    for field in ["_id", "email", "emailCanonical", "passwordHash", "createdAt", "roles"] {
        for value in values() {
            let changed = with(&sound, field, value.as_ref());
            let case = format!("{field}: {value:?}");
            if field == "_id" && !is_id(value.as_ref()) {
                continue;
            }
            users.delete_one(this.clone()).await.unwrap();
            put(&users, &changed).await;
            let (status, answer) = try_log_in(&app, &victim).await;
            assert!(status == 200 || status == 401, "{case}: {answer}");
            if status == 401 {
                assert_eq!(answer["type"], "/problems/invalid-credentials", "{case}");
            }
            let me = app.me(&tokens.access).await;
            assert!(me == 200 || me == 401, "{case}: {me}");
            let (status, answer) = app.refresh(&tokens.refresh).await;
            assert!(status == 200 || status == 401, "{case}: {answer}");
            let path = format!("/api/v1/users/{}", victim.user_id);
            let seen = app.ask("auth", &path, &admin.access).await.status().as_u16();
            assert!(seen == 200 || seen == 404, "{case}: {seen}");
            let taken = app.post_register(&victim.email).await.status().as_u16();
            assert!(is_served(taken), "{case}: {taken}");
            app.log_in(&other).await;
            // As it was; what was registered meanwhile goes.
            let own = doc! { "emailCanonical": &victim.email };
            users.delete_many(own).await.unwrap();
            users.delete_many(doc! { "_id": changed.get("_id").unwrap() }).await.unwrap();
            put(&users, &sound).await;
            tokens = app.log_in(&victim).await;
        }
    }
    // An address that was freed was registered again, and its rows are nobody's now.
    app.remove().await;
}

#[tokio::test]
async fn a_session_or_refresh_token_of_any_kind_is_401_and_never_refreshes() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let (victim, other) = (app.account().await, app.account().await);
    for (name, fields) in [
        ("sessions", &["userId", "createdAt", "expiresAt", "revokedAt"][..]),
        ("refresh_tokens", &["sessionId", "createdAt", "expiresAt", "usedAt", "successor"]),
    ] {
        let documents = collection(&app, name).await;
        for field in fields {
            for value in values() {
                let tokens = app.log_in(&victim).await;
                let session =
                    binary(claims(&tokens.access)["sid"].as_str().unwrap().parse().unwrap());
                let of_session = doc! { "$or": [{ "_id": session }, { "sessionId": session }] };
                let sound = documents.find_one(of_session).await.unwrap().unwrap();
                let case = format!("{name}.{field}: {value:?}");
                put(&documents, &with(&sound, field, value.as_ref())).await;
                let (status, answer) = app.refresh(&tokens.refresh).await;
                // What decides nothing, or says nothing, hinders nobody.
                let harmless = matches!(value, None | Some(Bson::Null)) || *field == "createdAt";
                let future = *field == "expiresAt" && value == Some(DateTime::MAX.into());
                let needed = ["userId", "sessionId", "expiresAt"].contains(field);
                if (harmless && !needed) || future {
                    assert_eq!(status, 200, "{case}: {answer}");
                } else {
                    assert_eq!(status, 401, "{case}: {answer}");
                }
                let logout = json!({ "refreshToken": tokens.refresh });
                assert_eq!(app.post("auth", "/api/v1/auth/logout", &logout).await.0, 204, "{case}");
                app.log_in(&other).await;
                documents.delete_one(doc! { "_id": sound.get("_id").unwrap() }).await.unwrap();
            }
        }
    }
    app.remove().await;
}

#[tokio::test]
async fn an_idempotency_key_of_any_kind_counts_as_none() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let keys = app.keys().await;
    let fields = ["fingerprint", "userId", "registrationId", "createdAt", "expiresAt"];
    for field in fields {
        for value in values() {
            let (key, email) = (uuid::Uuid::new_v4().to_string(), app.address());
            assert_eq!(app.keyed(&key, &email, PASSWORD).await.status, 201);
            let sound = keys.find_one(doc! {}).await.unwrap().unwrap();
            put(&keys, &with(&sound, field, value.as_ref())).await;
            let repeated = app.keyed(&key, &email, PASSWORD).await;
            let case = format!("{field}: {value:?}: {}", repeated.body);
            // The record is read, or counts as none: then the address is taken.
            assert!([201, 409, 422].contains(&repeated.status), "{case}");
            let fresh = app.keyed(&key, &app.address(), PASSWORD).await;
            assert!([201, 422].contains(&fresh.status), "{case}: {}", fresh.body);
            keys.delete_many(doc! {}).await.unwrap();
        }
    }
    app.remove().await;
}
