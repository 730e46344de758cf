//! What the API does, and for whom.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Desk, Options, reply};

#[tokio::test]
async fn a_todo_is_created_read_changed_and_deleted() {
    let desk = Desk::start().await;
    let ada = desk.somebody();
    assert_eq!(ada.list("").await.json, json!({ "items": [], "nextCursor": null }));
    let title = " Milch & Käse $userId {\"$gt\":\"\"} 👩‍👩‍👧 ";
    let created = ada.add(title).await;
    let id = created.id();
    assert_eq!(created.headers["location"], format!("/api/v1/todos/{id}"));
    assert_eq!(created.etag(), "\"1\"");
    let mut fields: Vec<_> = created.json.as_object().unwrap().keys().cloned().collect();
    fields.sort();
    assert_eq!(fields, ["completed", "createdAt", "id", "title", "updatedAt"]);
    assert_eq!(
        (&created.json["title"], &created.json["completed"]),
        (&json!(title), &json!(false))
    );
    assert_eq!(created.json["createdAt"], created.json["updatedAt"]);

    let read = ada.read(&id).await;
    assert_eq!((&read.json, read.etag()), (&created.json, created.etag()));
    assert_eq!(read.headers["cache-control"], "private, no-cache");
    assert_eq!(ada.list("").await.json["items"], json!([created.json]));

    let changed = ada.change(&id, &json!({ "completed": true, "more": 1 })).await;
    assert_eq!((changed.status, changed.etag()), (StatusCode::OK, "\"2\"".to_owned()));
    assert_eq!((&changed.json["title"], &changed.json["completed"]), (&json!(title), &json!(true)));
    assert_eq!(changed.json["createdAt"], created.json["createdAt"]);
    assert!(changed.json["updatedAt"].as_str() > created.json["updatedAt"].as_str());
    let renamed = ada.change(&id, &json!({ "title": "$completed" })).await;
    assert_eq!(renamed.json["title"], "$completed");
    assert_eq!(renamed.json["completed"], true);

    let gone = ada.delete(&id).await;
    assert_eq!((gone.status, gone.json), (StatusCode::NO_CONTENT, Value::Null));
    for again in
        [ada.delete(&id).await, ada.read(&id).await, ada.change(&id, &json!({"title": "x"})).await]
    {
        assert_eq!(again.status, StatusCode::NOT_FOUND, "{again:?}");
    }
    assert_eq!(ada.list("").await.json["items"], json!([]));
    desk.app.remove().await;
}

/// Whatever somebody does with another's todo, the answer is that of a todo
/// that never was, and nothing happens to it.
#[tokio::test]
async fn a_todo_of_another_user_is_as_unknown_as_one_that_never_was() {
    let desk = Desk::start().await;
    let ((ada, _), eve) = (desk.welcomed().await, desk.somebody());
    let secret = ada.add("Ada's own").await;
    let todos = [secret.id(), ada.welcome().to_string()];
    let never = uuid::Uuid::now_v7().to_string();
    for id in &todos {
        let before = ada.read(id).await;
        for (method, body) in [
            (Method::GET, None),
            (Method::PATCH, Some(json!({ "title": "Eve's" }))),
            (Method::DELETE, None),
        ] {
            for tag in [None, Some("\"1\""), Some("*"), Some("\"99\"")] {
                let ask = async |id: &str| {
                    let mut request = eve.request(method.clone(), &format!("/{id}"));
                    if let Some(tag) = tag {
                        request = request.header("if-match", tag).header("if-none-match", tag);
                    }
                    if let Some(body) = &body {
                        request = request.json(body);
                    }
                    let mut answer = reply(request).await;
                    // The request's own: its path and its trace.
                    let problem = answer.json.as_object_mut().unwrap();
                    problem.remove("instance");
                    problem.remove("traceId");
                    answer
                };
                let (others, unknown) = (ask(id).await, ask(&never).await);
                assert_eq!(others.status, StatusCode::NOT_FOUND, "{method} {tag:?}");
                assert_eq!((others.status, &others.json), (unknown.status, &unknown.json));
                assert_eq!(others.headers.get("etag"), None);
            }
        }
        let after = ada.read(id).await;
        assert_eq!(
            (before.json, before.headers["etag"].clone()),
            (after.json.clone(), after.headers["etag"].clone())
        );
    }
    assert_eq!(eve.list("").await.json["items"], json!([]));
    // Nor does another's cursor lead there.
    let cursor = ada.list("?limit=1").await.json["nextCursor"].as_str().unwrap().to_owned();
    let refused = eve.list(&format!("?cursor={cursor}")).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    desk.app.remove().await;
}

#[tokio::test]
async fn nobody_is_let_in_without_a_token() {
    let desk = Desk::start().await;
    let ada = desk.somebody();
    let id = ada.add("mine").await.id();
    let mut nobody = ada.clone();
    nobody.token.clear();
    let mut forged = ada.clone();
    forged.token.replace_range(forged.token.len() - 3.., "AAA");
    for stranger in [nobody, forged] {
        for answer in [
            stranger.list("").await,
            stranger.list("?limit=junk").await,
            stranger.create(&json!({ "title": "x" })).await,
            stranger.create(&json!([])).await,
            stranger.read(&id).await,
            stranger.read("junk").await,
            stranger.change(&id, &json!({ "title": "x" })).await,
            stranger.delete(&id).await,
        ] {
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
            assert_eq!(answer.json["type"], "/problems/invalid-token");
            assert!(answer.headers.contains_key("www-authenticate"));
        }
    }
    assert_eq!(ada.list("").await.json["items"].as_array().unwrap().len(), 1);
    desk.app.remove().await;
}

#[tokio::test]
async fn nobody_has_more_todos_than_there_may_be() {
    let desk = Desk::start_with(Options::only(&["todo"]).with("TODOS_PER_USER_MAX", "3")).await;
    let ((ada, _), bob) = (desk.welcomed().await, desk.somebody());
    let second = ada.add("second").await.id();
    ada.add("third").await;
    let refused = ada.create(&json!({ "title": "fourth" })).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(refused.json["type"], "/problems/quota-reached");
    bob.add("another user's").await;
    ada.delete(&second).await;
    ada.add("there is room again").await;
    assert_eq!(ada.all(2).await.len(), 3);
    desk.app.remove().await;
}

#[tokio::test]
async fn while_mongodb_fails_the_answer_is_to_come_back() {
    let desk = Desk::start_with(Options::only(&["todo"]).failing("todo")).await;
    let ada = desk.somebody();
    let id = ada.add("kept").await.id();
    // Not primary any more: what the driver repeats once, then gives up on.
    let commands = json!(["find", "insert", "findAndModify", "delete", "aggregate"]);
    let data = mongodb::bson::serialize_to_document(
        &json!({ "failCommands": commands, "errorCode": 10107 }),
    );
    let fail = desk.app.fail_commands(mongodb::bson::doc! { "times": 1000 }, data.unwrap()).await;
    for answer in [
        ada.list("").await,
        ada.read(&id).await,
        ada.create(&json!({ "title": "x" })).await,
        ada.change(&id, &json!({ "title": "x" })).await,
        ada.delete(&id).await,
    ] {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
        assert_eq!(answer.headers["retry-after"], "5");
        assert!(!answer.json.to_string().contains("10107"), "{answer:?}");
    }
    fail.off().await;
    crate::harness::eventually("the todo is there again", async || {
        let read = ada.read(&id).await;
        if read.json["title"] == "kept" { Ok(()) } else { Err(read) }
    })
    .await;
    desk.app.remove().await;
}
