//! Tampering with `auth.users`.

use mongodb::bson::doc;
use uuid::Uuid;

use crate::harness::{App, Finished, binary};

#[tokio::test]
async fn every_tampering_with_a_user_is_named() {
    let app = App::start().await;
    let all = app.finished(3).await;
    app.is_clean().await;
    let (users, one, other) = (app.users().await, all[0], all[1]);
    let by_id = || Finished::by_id(one.user.uuid());

    // Gone: the row misses it, and nobody owns the todo.
    let user = app.take(&users, by_id()).await;
    app.finds(&[
        ("row_without_user", one.event.to_string()),
        ("todo_unexpected", one.todo.to_string()),
    ])
    .await;
    app.put_back(&users, &user).await;

    // One that nobody registered.
    let mut stranger = user.clone();
    let id = Uuid::new_v4();
    stranger.insert("_id", binary(id));
    stranger.insert("email", "stranger@example.com");
    stranger.insert("emailCanonical", "stranger@example.com");
    app.insert(&users, &stranger).await;
    app.finds(&[("user_without_row", id)]).await;
    app.take(&users, Finished::by_id(id)).await;

    // Under another id: both ends of what belonged to it hang loose.
    let mut moved = app.take(&users, by_id()).await;
    moved.insert("_id", binary(id));
    app.insert(&users, &moved).await;
    app.finds(&[
        ("row_without_user", one.event.to_string()),
        ("todo_unexpected", one.todo.to_string()),
        ("user_without_row", id.to_string()),
    ])
    .await;
    app.take(&users, Finished::by_id(id)).await;
    app.put_back(&users, &user).await;

    for fields in [
        doc! { "emailCanonical": "somebody.else@example.com" },
        doc! { "passwordHash": "letmein" },
        doc! { "passwordHash": 5 },
    ] {
        let before = app.set(&users, by_id(), fields).await;
        app.finds(&[("user_altered", one.user)]).await;
        app.put_back(&users, &before).await;
    }
    // What was published was another address.
    let another = doc! { "email": "EVE@example.com", "emailCanonical": "eve@example.com" };
    let before = app.set(&users, by_id(), another).await;
    app.finds(&[("row_altered", one.event)]).await;
    app.put_back(&users, &before).await;

    // The same address twice, which takes the index away first.
    users.drop_index("emailCanonical_1").await.unwrap();
    app.is_clean().await;
    let address = user.get_str("emailCanonical").unwrap();
    let same = doc! { "email": address, "emailCanonical": address };
    let before = app.set(&users, Finished::by_id(other.user.uuid()), same).await;
    app.finds(&[
        ("user_duplicated", other.user.to_string()),
        ("row_altered", other.event.to_string()),
    ])
    .await;
    app.put_back(&users, &before).await;
    app.is_clean().await;
    app.finish().await;
}
