//! Transactions of the inbox beside the one of every message.

use futures::future::join_all;
use mongodb::bson::doc;
use onboard_contract::{EventId, UserId};
use onboard_events::TodoId;
use onboard_fault::Step;
use uuid::Uuid;

use super::ACTS;
use super::special::{all_used, armed};
use crate::harness::{App, binary, eventually};

/// The id of an event comes for another user, too.
#[tokio::test]
async fn the_todo_service_applies_a_conflict() {
    join_all(ACTS.map(async |act| {
        let (tokens, mut options) = armed("todo", Step("inbox.conflict"), act);
        options.services = vec!["todo"];
        let app = App::start_with(options).await;
        let (event, ada, bob) = (event(), user(), user());
        for user in [ada, bob] {
            app.publish_registered(event, user).await;
            has_its_todo(&app, user).await;
        }
        all_used(&tokens).await;
        is_done_with_all(&app).await;
        let record = doc! { "eventId": binary(event.uuid()) };
        let record = app.inbox().await.find_one(record).await.unwrap().unwrap();
        assert_eq!(record.get_array("conflicts").unwrap().len(), 1, "{act:?}: {record}");
        assert_eq!(app.todos_of(ada).await, 1, "{act:?}");
        app.remove().await;
    }))
    .await;
}

/// The inbox says that an event was applied, and the todo has gone.
#[tokio::test]
async fn the_todo_service_makes_again_what_was_lost() {
    join_all(ACTS.map(async |act| {
        let (tokens, mut options) = armed("todo", Step("inbox.again"), act);
        options.services = vec!["todo"];
        let app = App::start_with(options).await;
        let (event, ada) = (event(), user());
        app.publish_registered(event, ada).await;
        has_its_todo(&app, ada).await;
        is_done_with_all(&app).await;
        let todo = doc! { "_id": binary(TodoId::welcome(ada).uuid()) };
        app.take(&app.todos().await, todo).await;
        app.publish_registered(event, ada).await;
        has_its_todo(&app, ada).await;
        all_used(&tokens).await;
        is_done_with_all(&app).await;
        assert_eq!(app.inbox().await.count_documents(doc! {}).await.unwrap(), 1, "{act:?}");
        app.remove().await;
    }))
    .await;
}

async fn has_its_todo(app: &App, user: UserId) {
    eventually("the user has the todo", async || match app.todos_of(user).await {
        1 => Ok(()),
        todos => Err(todos),
    })
    .await;
}

async fn is_done_with_all(app: &App) {
    eventually("no message is left", async || match app.queue_depths().await {
        (0, 0) => Ok(()),
        depths => Err(depths),
    })
    .await;
}

fn event() -> EventId {
    Uuid::now_v7().into()
}

fn user() -> UserId {
    Uuid::new_v4().into()
}
