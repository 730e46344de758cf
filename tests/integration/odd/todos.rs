use mongodb::bson::{Bson, doc};
use reqwest::StatusCode;
use serde_json::json;

use super::{NO_UTF8, put, values, with};
use crate::harness::{Desk, Options, binary};

const FIELDS: [&str; 6] = ["title", "completed", "createdAt", "updatedAt", "version", "createdBy"];

#[tokio::test]
async fn a_todo_of_any_kind_is_left_out_and_hides_no_other() {
    let desk = Desk::start_with(Options::only(&["todo"])).await;
    let person = desk.somebody();
    let mut good = Vec::new();
    for title in ["first", "second", "third"] {
        good.push(person.add(title).await.id());
    }
    let id = person.add("victim").await.id();
    good.push(person.add("last").await.id());
    let todos = desk.app.todos().await;
    let this = doc! { "_id": binary(id.parse().unwrap()) };
    let sound = todos.find_one(this).await.unwrap().unwrap();
    for field in FIELDS {
        for value in values() {
            put(&todos, &with(&sound, field, value.as_ref())).await;
            let case = format!("{field}: {value:?}");
            for limit in [1, 3, 100] {
                let all = person.all(limit).await;
                let others: Vec<_> = all.iter().filter(|seen| **seen != id).cloned().collect();
                let expected: Vec<_> = good.iter().rev().cloned().collect();
                assert_eq!(others, expected, "{case}, {limit} a page");
            }
            let read = person.read(&id).await.status;
            let known = read == StatusCode::OK;
            assert!(known || read == StatusCode::NOT_FOUND, "{case}: {read}");
            let listed = person.all(100).await.contains(&id);
            assert_eq!(listed, known, "{case}: the list and the todo say the same");
            let changed = person.change(&id, &json!({ "completed": true })).await;
            assert!(!changed.status.is_server_error(), "{case}: {changed:?}");
            assert_eq!(changed.status == StatusCode::OK, known, "{case}: {changed:?}");
            let stale = person.change_if(&id, "\"7\"", &json!({ "title": "x" })).await.status;
            assert!(!stale.is_server_error(), "{case}: {stale}");
            let deleted = person.delete(&id).await.status;
            // MongoDB takes a text that is no UTF-8 for a text.
            if value.as_ref().and_then(Bson::as_str) != Some(NO_UTF8) {
                assert_eq!(deleted == StatusCode::NO_CONTENT, known, "{case}: {deleted}");
                assert!(known || deleted == StatusCode::NOT_FOUND, "{case}: {deleted}");
            }
        }
    }
    // An id of another type, and a whole page of todos without a place among the others.
    for n in 0..30 {
        let mut odd = with(&sound, "createdAt", Some(&Bson::MaxKey));
        odd.insert("_id", format!("odd-{n}"));
        put(&todos, &odd).await;
        let mut odd = sound.clone();
        odd.insert("_id", n);
        put(&todos, &odd).await;
    }
    todos.delete_one(doc! { "_id": sound.get("_id").unwrap() }).await.unwrap();
    let expected: Vec<_> = good.iter().rev().cloned().collect();
    for limit in [1, 3, 100] {
        assert_eq!(person.all(limit).await, expected, "{limit} a page");
    }
    assert_eq!(person.add("one more").await.status, StatusCode::CREATED);
    desk.app.remove().await;
}
