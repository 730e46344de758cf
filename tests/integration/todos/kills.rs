//! The todo service dies right before and right after everything the API does.
//! What was asked for has happened once, whole, or not at all.

use onboard_fault::{Side, Step};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::json;

use crate::harness::{Desk, Options, Person, eventually};
use crate::kill_points::tokens::Tokens;

/// A desk whose todo service crashes once on each side of the step. The desk
/// is up: it takes the act to reach the step.
async fn crashing(step: Step) -> (Desk, Tokens) {
    let tokens = Tokens::new([Side::Before, Side::After].map(|side| step.point(side)).into_iter());
    let options = Options::only(&["todo"]).with_for("todo", "FAILPOINTS", &tokens.armed("crash"));
    (Desk::start_with(options).await, tokens)
}

/// Sends it, hears nothing, and waits until the service is back.
async fn dies(desk: &Desk, request: RequestBuilder, tokens: &Tokens, left: usize) {
    // What the transaction of a dead process holds, it holds for up to a minute:
    // until then the answer is to come back.
    eventually("the process ends before it answers", async || {
        match request.try_clone().unwrap().send().await {
            Err(_) => Ok(()),
            Ok(answer) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => Err(answer),
            Ok(answer) => panic!("it answers: {answer:?}"),
        }
    })
    .await;
    assert_eq!(tokens.left().len(), left, "at the point that was armed");
    eventually("the service is back, and has its keys", async || {
        let answer = desk.app.http.get(format!("{}/readyz", desk.app.url("todo"))).send().await;
        match answer {
            Ok(answer) if answer.status() == StatusCode::OK => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

/// The list, once the service can check the token again.
async fn titles(person: &Person) -> Vec<String> {
    eventually("the list is served", async || {
        let list = person.list("").await;
        if list.status != StatusCode::OK {
            return Err(list);
        }
        let items = list.json["items"].as_array().unwrap();
        Ok(items.iter().map(|item| item["title"].as_str().unwrap().to_owned()).collect())
    })
    .await
}

#[tokio::test]
async fn a_todo_is_created_or_not() {
    let (desk, tokens) = crashing(Step("todo.create")).await;
    let ada = desk.somebody();
    let create = || ada.request(Method::POST, "").json(&json!({ "title": "mine" }));
    dies(&desk, create(), &tokens, 1).await;
    assert_eq!(titles(&ada).await, Vec::<String>::new(), "before: it is not there");
    dies(&desk, create(), &tokens, 0).await;
    assert_eq!(titles(&ada).await, ["mine"], "after: it is there, whole");
    desk.app.remove().await;
}

#[tokio::test]
async fn a_todo_is_changed_or_not() {
    let (desk, tokens) = crashing(Step("todo.change")).await;
    let ada = desk.somebody();
    let id = ada.add("old").await.id();
    let change = || {
        let request = ada.request(Method::PATCH, &format!("/{id}")).header("if-match", "\"1\"");
        request.json(&json!({ "title": "new" }))
    };
    dies(&desk, change(), &tokens, 1).await;
    assert_eq!(titles(&ada).await, ["old"]);
    dies(&desk, change(), &tokens, 0).await;
    assert_eq!(titles(&ada).await, ["new"]);
    // Who repeats the change hears that it is another version by now.
    let again = ada.change_if(&id, "\"1\"", &json!({ "title": "new" })).await;
    assert_eq!(again.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(ada.read(&id).await.etag(), "\"2\"");
    desk.app.remove().await;
}

#[tokio::test]
async fn a_todo_is_removed_or_not() {
    let (desk, tokens) = crashing(Step("todo.remove")).await;
    let ada = desk.somebody();
    let id = ada.add("mine").await.id();
    let remove = || ada.request(Method::DELETE, &format!("/{id}"));
    dies(&desk, remove(), &tokens, 1).await;
    assert_eq!(titles(&ada).await, ["mine"]);
    dies(&desk, remove(), &tokens, 0).await;
    assert_eq!(titles(&ada).await, Vec::<String>::new());
    assert_eq!(ada.delete(&id).await.status, StatusCode::NOT_FOUND);
    desk.app.remove().await;
}

/// Todo and note go together: neither without the other, on either side of the
/// commit, and the event that comes again makes no second one.
#[tokio::test]
async fn a_welcome_todo_is_removed_and_noted_or_neither() {
    let (desk, tokens) = crashing(Step("todo.remove_commit")).await;
    let (ada, event) = desk.welcomed().await;
    let noted = async || {
        let records = desk.app.inbox().await;
        let noted = mongodb::bson::doc! { "todoDeletedAt": { "$type": "date" } };
        records.count_documents(noted).await.unwrap()
    };
    let remove = || ada.request(Method::DELETE, &format!("/{}", ada.welcome()));
    let redelivered = async |so_far: u64| {
        desk.app.publish_registered(event, ada.id).await;
        // The counters began anew with the process.
        desk.app.acked(so_far).await;
    };
    dies(&desk, remove(), &tokens, 1).await;
    redelivered(1).await;
    assert_eq!((titles(&ada).await.len(), noted().await), (1, 0), "before: neither");
    dies(&desk, remove(), &tokens, 0).await;
    redelivered(1).await;
    assert_eq!((titles(&ada).await.len(), noted().await), (0, 1), "after: both");
    assert_eq!(ada.delete(ada.welcome()).await.status, StatusCode::NOT_FOUND);
    desk.app.remove().await;
}
