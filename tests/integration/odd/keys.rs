use mongodb::bson::{Bson, Document, doc};
use serde_json::Value;

use super::{is_id, put, values, with};
use crate::harness::{App, Options, text};

const FIELDS: [&str; 7] =
    ["_id", "algorithm", "publicKey", "wrappedKey", "createdAt", "signsFrom", "goneFrom"];

#[tokio::test]
async fn signing_keys_of_any_kind_keep_nobody_out_after_a_restart() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let (account, keys) = (app.account().await, app.auth_database().await);
    let keys = keys.collection::<Document>("signing_keys");
    let sound = keys.find_one(doc! {}).await.unwrap().unwrap();
    let mut odd = 0;
    for field in FIELDS {
        for value in values() {
            let mut another = sound.clone();
            another.remove("first");
            another.insert("_id", format!("odd-{odd}"));
            let another = with(&another, field, value.as_ref());
            if is_id(another.get("_id")) {
                put(&keys, &another).await;
                odd += 1;
            }
        }
    }
    app.component("auth").stop().await.unwrap();
    app.component("auth").request_start().await.unwrap();
    app.ready("auth").await;
    let tokens = app.log_in(&account).await;
    assert_eq!(app.me(&tokens.access).await, 200);
    assert_eq!(app.refresh(&tokens.refresh).await.0, 200);
    let kids: Vec<Value> = app.jwks().await["keys"].as_array().unwrap().clone();
    assert_eq!(kids.len(), 1, "only the sound key is published: {kids:?}");

    let listed = app.tool(&["keys", "list"]).await.yes();
    let unreadable = listed["unreadable"].as_array().unwrap();
    assert!(unreadable.len() > 50, "{listed}");
    assert!(unreadable.iter().all(|one| one["why"].as_str().unwrap().len() > 10), "{listed}");
    let output = app.onboard(&["setup"]).await;
    assert!(output.status.success(), "{}", text(&output));
    app.tool(&["keys", "rotate", "--now"]).await.yes();
    app.tool(&["keys", "remove", sound.get_str("_id").unwrap()]).await.yes();
    keys.delete_many(doc! { "_id": { "$ne": sound.get("_id").unwrap() } }).await.unwrap();
    app.remove().await;
}

#[tokio::test]
async fn setup_makes_a_key_where_the_only_one_cannot_be_read() {
    let app = App::start_with(Options::only(&[])).await;
    let keys = app.auth_database().await.collection::<Document>("signing_keys");
    let sound = keys.find_one(doc! {}).await.unwrap().unwrap();
    put(&keys, &with(&sound, "signsFrom", Some(&Bson::from("soon")))).await;
    let output = app.onboard(&["setup"]).await;
    assert!(output.status.success(), "{}", text(&output));
    let listed = app.tool(&["keys", "list"]).await.yes();
    assert_eq!(listed["keys"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed["keys"][0]["signs"], true, "{listed}");
    assert_eq!(listed["unreadable"][0]["id"], sound.get_str("_id").unwrap(), "{listed}");
    keys.delete_many(doc! {}).await.unwrap();
    app.remove().await;
}
