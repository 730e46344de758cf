//! What is refused, where that is, and that no operator gets through.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Desk, Person, Reply, reply};

fn is(answer: &Reply, errors: &[(&str, &str)], of: &str) {
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{of}: {answer:?}");
    assert_eq!(answer.json["type"], "/problems/validation-failed", "{of}");
    assert_eq!(answer.headers["content-type"], "application/problem+json", "{of}");
    let found = answer.errors();
    let found: Vec<_> = found.iter().map(|(p, d)| (p.as_str(), d.as_str())).collect();
    assert_eq!(found, errors, "{of}");
}

#[tokio::test]
async fn every_title_that_is_none_is_refused() {
    const CONTROL: &str = "must not hold control characters (U+0000 to U+001F, U+007F to U+009F)";
    let desk = Desk::start().await;
    let ada = desk.somebody();
    let id = ada.add("mine").await.id();
    let table = [
        (json!({ "title": null }), "must not be null"),
        (json!({ "title": 7 }), "must be a string"),
        (json!({ "title": ["x"] }), "must be a string"),
        (json!({ "title": { "$gt": "" } }), "must be a string"),
        (json!({ "title": "" }), "must have at least 1 character"),
        (json!({ "title": " \u{2003}" }), "must not be white space only"),
        (json!({ "title": "a\u{0}b" }), CONTROL),
        (json!({ "title": "a\nb" }), CONTROL),
        (json!({ "title": "a\u{85}b" }), CONTROL),
        (json!({ "title": "𝄞".repeat(201) }), "must have at most 200 characters"),
    ];
    for (body, why) in &table {
        is(&ada.create(body).await, &[("#/title", why)], &body.to_string());
        is(&ada.change(&id, body).await, &[("#/title", why)], &body.to_string());
    }
    is(&ada.create(&json!({ "completed": true })).await, &[("#/title", "is missing")], "none");
    let nothing = [("#", "must hold title or completed")];
    is(&ada.change(&id, &json!({})).await, &nothing, "empty");
    is(&ada.change(&id, &json!({ "version": 9, "userId": "x" })).await, &nothing, "others");
    let both = [("#/title", "must be a string"), ("#/completed", "must be true or false")];
    is(&ada.change(&id, &json!({ "title": {}, "completed": "yes" })).await, &both, "both");
    is(&ada.create(&json!([])).await, &[("#", "must be a JSON object")], "list");
    for title in ["𝄞".repeat(200), " x ".to_owned(), "\u{202e}x".to_owned()] {
        let created = ada.add(&title).await;
        assert_eq!(created.json["title"], title);
    }
    assert_eq!(ada.read(&id).await.etag(), "\"1\"", "nothing was changed");
    desk.app.remove().await;
}

#[tokio::test]
async fn a_query_that_is_wrong_names_its_parameter() {
    let desk = Desk::start().await;
    let ada = desk.somebody();
    for title in ["one", "two", "three"] {
        ada.add(title).await;
    }
    let limit = ("limit", "must be a whole number from 1 to 100");
    let cursor = ("cursor", "must be a nextCursor that this API has answered to you");
    for query in ["limit=0", "limit=101", "limit=-1", "limit=", "limit=1.0", "limit=ten"] {
        is(&ada.list(&format!("?{query}")).await, &[limit], query);
    }
    let good = ada.list("?limit=1").await.json["nextCursor"].as_str().unwrap().to_owned();
    let mut altered = good.clone();
    altered.replace_range(9..10, if altered.as_bytes()[9] == b'A' { "B" } else { "A" });
    for query in [
        "cursor=",
        "cursor=junk",
        "cursor=%00",
        "cursor=%ff",
        "cursor={\"$gt\":\"\"}",
        &format!("cursor={altered}"),
        &format!("cursor={good}="),
        &format!("cursor={good}A"),
    ] {
        is(&ada.list(&format!("?{query}")).await, &[cursor], query);
    }
    is(&ada.list("?limit=x&cursor=y").await, &[limit, cursor], "both");
    is(&ada.list("?limit=1&limit=2").await, &[("limit", "must be given once")], "twice");
    // Another parameter, which is ignored like any.
    let ignored = ada.list("?cursor[$gt]=&limit[$ne]=1&$where=sleep(1)&userId=x").await;
    assert_eq!(ignored.json["items"].as_array().unwrap().len(), 3);
    desk.app.remove().await;
}

#[tokio::test]
async fn an_id_that_is_none_is_the_id_of_no_todo() {
    let desk = Desk::start().await;
    let ada = desk.somebody();
    let id = ada.add("mine").await.id();
    let simple = id.replace('-', "");
    for path in [
        "junk",
        "1",
        &simple,
        "%7B%22$ne%22:null%7D",
        "%00",
        "%ff",
        "$where",
        "%2e%2e",
        "%7B0190c1c4-7f6e-7d1a-8b1e-2f6f3a1b2c3d%7D",
        "nil",
    ] {
        for (method, body) in [
            (Method::GET, None),
            (Method::PATCH, Some(json!({ "title": "x" }))),
            (Method::DELETE, None),
        ] {
            let mut request = ada.request(method.clone(), &format!("/{path}"));
            if let Some(body) = body {
                request = request.json(&body);
            }
            let answer = reply(request).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}: {answer:?}");
            assert_eq!(answer.json["type"], "/problems/not-found");
        }
    }
    assert_eq!(ada.read(id.to_uppercase()).await.id(), id);
    desk.app.remove().await;
}

#[tokio::test]
async fn a_body_must_be_declared_and_be_json() {
    let desk = Desk::start().await;
    let ada = desk.somebody();
    let id = ada.add("mine").await.id();
    let patch = format!("/{id}");
    let send = async |method: Method, path: &str, media_type: &str, body: &'static str| {
        let request = ada.request(method, path).header("content-type", media_type).body(body);
        reply(request).await.status.as_u16()
    };
    let (post, change) = (Method::POST, Method::PATCH);
    let good = r#"{"title":"x"}"#;
    for (method, path, media_type, body, status) in [
        (&post, "", "application/json", good, 201),
        (&post, "", "application/merge-patch+json", good, 415),
        (&post, "", "text/plain", good, 415),
        (&post, "", "application/json", "{", 400),
        (&change, &patch, "application/json; charset=utf-8", good, 200),
        (&change, &patch, "application/merge-patch+json", good, 200),
        (&change, &patch, "application/json-patch+json", "[]", 415),
        (&change, &patch, "application/json", "", 400),
    ] {
        let answered = send(method.clone(), path, media_type, body).await;
        assert_eq!(answered, status, "{method} {media_type} {body}");
    }
    let large = json!({ "title": "x", "padding": "x".repeat(20_000) });
    assert_eq!(ada.create(&large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let put = reply(ada.request(Method::PUT, &patch).json(&json!({}))).await;
    assert_eq!(put.status, StatusCode::METHOD_NOT_ALLOWED);
    desk.app.remove().await;
}

/// Operators in every place a client can write to: refused or kept as text,
/// and no other document is reached.
#[tokio::test]
async fn no_operator_gets_through() {
    let desk = Desk::start().await;
    let (ada, eve) = (desk.somebody(), desk.somebody());
    let id = ada.add("Ada's").await.id();
    let own = eve.add("Eve's").await.id();
    let operators = [
        json!({ "$gt": "" }),
        json!({ "$ne": null }),
        json!({ "$regex": ".*" }),
        json!({ "$where": "sleep(1000)" }),
        json!({ "$set": { "userId": eve.id } }),
        json!([{ "$match": {} }]),
    ];
    for operator in &operators {
        let text = operator.to_string();
        for body in
            [json!({ "title": operator }), json!({ "completed": operator, "title": operator })]
        {
            assert_eq!(eve.create(&body).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
            assert_eq!(
                eve.change(&own, &body).await.status,
                StatusCode::UNPROCESSABLE_ENTITY,
                "{body}"
            );
        }
        // As a name, a field is unknown; as text, it is text.
        let named = json!({ "title": text, "$set": operator, "userId": operator, "_id": operator });
        assert_eq!(eve.create(&named).await.json["title"], text);
        assert_eq!(eve.change(&own, &named).await.json["title"], text);
        assert_eq!(eve.change_if(&own, &text, &json!({ "title": "x" })).await.status, 412);
    }
    for title in ["$userId", "$$ROOT", "$$NOW", "$title.x", "{\"$literal\":1}"] {
        assert_eq!(eve.change(&own, &json!({ "title": title })).await.json["title"], title);
    }
    untouched(&ada, &id).await;
    assert_eq!(eve.all(100).await.len(), 1 + operators.len());
    desk.app.remove().await;
}

async fn untouched(person: &Person, id: &str) {
    let read = person.read(id).await;
    assert_eq!((read.json["title"].clone(), read.etag()), (Value::from("Ada's"), "\"1\"".into()));
    assert_eq!(person.all(100).await, [id]);
}
