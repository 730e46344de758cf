//! Entity tags: who has seen what is overwritten by nobody.

use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{Desk, reply};

#[tokio::test]
async fn of_two_changes_to_the_same_version_one_happens() {
    let desk = Desk::start().await;
    let (ada, _) = desk.welcomed().await;
    // The welcome todo has no version of its own until its first change.
    for id in [ada.add("mine").await.id(), ada.welcome().to_string()] {
        for round in 0..10 {
            let tag = ada.read(&id).await.etag();
            let bodies = [0, 1].map(|n| json!({ "title": format!("{round} by {n}") }));
            let answers = join_all(bodies.iter().map(|body| ada.change_if(&id, &tag, body))).await;
            let mut statuses: Vec<_> =
                answers.iter().map(|answer| answer.status.as_u16()).collect();
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 412], "{answers:?}");
            let won = answers.iter().find(|answer| answer.status == StatusCode::OK).unwrap();
            let lost = answers.iter().find(|answer| answer.status != StatusCode::OK).unwrap();
            assert_eq!(lost.json["type"], "/problems/precondition-failed");
            let now = ada.read(&id).await;
            assert_eq!((&now.json, now.etag()), (&won.json, won.etag()));
            assert_eq!(now.etag(), format!("\"{}\"", round + 2));
        }
    }
    desk.app.remove().await;
}

#[tokio::test]
async fn without_a_condition_every_change_happens() {
    let desk = Desk::start().await;
    let ada = desk.somebody();
    let id = ada.add("mine").await.id();
    let bodies: Vec<_> = (0..10).map(|n| json!({ "title": format!("by {n}") })).collect();
    let answers = join_all(bodies.iter().map(|body| ada.change(&id, body))).await;
    let mut tags: Vec<u32> =
        answers.iter().map(|answer| answer.etag().trim_matches('"').parse().unwrap()).collect();
    tags.sort_unstable();
    assert_eq!(tags, (2..12).collect::<Vec<_>>(), "every change has a version of its own");
    let last = answers.iter().find(|answer| answer.etag() == "\"11\"").unwrap();
    assert_eq!(ada.read(&id).await.json, last.json, "the last write wins");
    desk.app.remove().await;
}

#[tokio::test]
async fn a_condition_that_does_not_hold_changes_nothing() {
    let desk = Desk::start().await;
    let ada = desk.somebody();
    let id = ada.add("mine").await.id();
    let body = json!({ "title": "other" });
    for tag in ["\"2\"", "W/\"1\"", "1", "\"01\"", "", "\"x\"", "\"2\", W/\"1\""] {
        let refused = ada.change_if(&id, tag, &body).await;
        assert_eq!(refused.status, StatusCode::PRECONDITION_FAILED, "{tag}");
        let delete = ada.request(Method::DELETE, &format!("/{id}")).header("if-match", tag);
        assert_eq!(reply(delete).await.status, StatusCode::PRECONDITION_FAILED, "{tag}");
    }
    assert_eq!(ada.read(&id).await.json["title"], "mine");
    assert_eq!(ada.change_if(&id, "\"7\", \"1\"", &body).await.etag(), "\"2\"");
    assert_eq!(ada.change_if(&id, "*", &body).await.etag(), "\"3\"");
    let stale = ada.request(Method::DELETE, &format!("/{id}")).header("if-match", "\"2\"");
    assert_eq!(reply(stale).await.status, StatusCode::PRECONDITION_FAILED);
    let delete = ada.request(Method::DELETE, &format!("/{id}")).header("if-match", "\"3\"");
    assert_eq!(reply(delete).await.status, StatusCode::NO_CONTENT);
    // There is nothing left to have a version: RFC 9110, section 13.2.1.
    assert_eq!(ada.change_if(&id, "\"3\"", &body).await.status, StatusCode::NOT_FOUND);
    desk.app.remove().await;
}

#[tokio::test]
async fn a_client_that_has_the_version_is_not_sent_it_again() {
    let desk = Desk::start().await;
    let (ada, _) = desk.welcomed().await;
    let id = ada.welcome();
    let read = async |tag: &str| {
        let request = ada.request(Method::GET, &format!("/{id}")).header("if-none-match", tag);
        reply(request).await
    };
    for tag in ["\"1\"", "W/\"1\"", "*", "\"7\", \"1\""] {
        let known = read(tag).await;
        assert_eq!(known.status, StatusCode::NOT_MODIFIED, "{tag}");
        assert_eq!(known.etag(), "\"1\"");
        assert!(known.json.is_null());
    }
    ada.change(id, &json!({ "completed": true })).await;
    let changed = read("\"1\"").await;
    assert_eq!((changed.status, changed.etag()), (StatusCode::OK, "\"2\"".to_owned()));
    desk.app.remove().await;
}
