//! Dead letters that cannot go back as they are: they go back without what cannot be
//! kept, and one that cannot go back holds up no other.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldArray, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use reqwest::Method;
use serde_json::json;

use super::event;
use crate::harness::{App, Options};

const PLAIN: usize = 230;
const LETTERS: &str = "user_registered_queue.dlq";

#[tokio::test]
async fn letters_that_cannot_be_kept_as_they_are_hold_up_nobody() {
    let app = App::start_with(Options::only(&["todo"])).await;
    app.declare_copies("copies", "user.events", "none").await;
    let user = Somebody::of(&app).await;
    let channel = user.channel(&app).await;
    let plain = BasicProperties::default().with_delivery_mode(2);
    let mut users = Vec::new();
    for properties in (0..PLAIN).map(|_| plain.clone()).chain(unkept(&user.name)) {
        let (id, user, body) = event();
        let properties = properties.with_message_id(id.to_string().into());
        publish(&channel, LETTERS, &body.to_string(), properties).await;
        users.push(user);
    }
    // Its queue takes no such acknowledgement, however often it is put back.
    let id = uuid::Uuid::now_v7().to_string();
    let acknowledgement = json!({ "eventId": id, "consumer": "todo" }).to_string();
    publish(&channel, "acknowledgements.dlq", &acknowledgement, plain.clone()).await;
    app.dead_letters_are(u32::try_from(users.len()).unwrap()).await;

    let done = app.tool(&["redrive", "--dead-letters"]).await.no();
    assert_eq!(done["acts"], json!({ "putBack": users.len() }), "{done}");
    assert_eq!((&done["leftTotal"], &done["deadLettersLeft"]), (&1.into(), &1.into()), "{done}");
    let why = done["left"][0]["why"].as_str().unwrap();
    assert!(why.contains("did not take it back into acknowledgements"), "{why}");
    let without = done["without"].as_array().unwrap();
    assert_eq!(without.len(), unkept("").len(), "{done}");
    for name in ["user_id", "expiration", "reply_to", "CC"] {
        let names = |one: &serde_json::Value| one["properties"].to_string().contains(name);
        assert!(without.iter().any(names), "{name}: {done}");
    }
    app.acked(users.len() as u64).await;
    for user in users {
        assert_eq!(app.todos_of(user).await, 1);
    }
    assert_eq!(app.queue_depths().await, (0, 0));
    assert_eq!(app.peek("copies").await.len(), 1, "the message alone, and no copy of the copy");
    user.delete(&app).await;
    app.remove().await;
}

/// Properties that RabbitMQ refuses from another user, obeys once more, or loses.
fn unkept(user: &str) -> Vec<BasicProperties> {
    let mut cc = FieldTable::default();
    let mut copies = FieldArray::default();
    copies.push(AMQPValue::LongString("copies".into()));
    cc.insert("CC".into(), AMQPValue::FieldArray(copies));
    let plain = || BasicProperties::default().with_delivery_mode(2);
    vec![
        plain().with_user_id(user.into()),
        plain().with_expiration("3600000".into()),
        plain().with_reply_to("nobody".into()),
        plain().with_headers(cc),
    ]
}

async fn publish(channel: &Channel, queue: &str, body: &str, properties: BasicProperties) {
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let sent = channel.basic_publish("".into(), queue.into(), options, body.as_bytes(), properties);
    assert!(sent.await.unwrap().await.unwrap().is_ack());
}

/// Another user of RabbitMQ than the tools'.
struct Somebody {
    name: String,
}

impl Somebody {
    async fn of(app: &App) -> Self {
        let name = format!("somebody-{}", app.id);
        let user = json!({ "password": "secret", "tags": "" });
        app.management(Method::PUT, &format!("users/{name}"), Some(user)).await;
        let all = json!({ "configure": ".*", "write": ".*", "read": ".*" });
        let path = format!("permissions/{}/{name}", app.names);
        app.management(Method::PUT, &path, Some(all)).await;
        Self { name }
    }

    async fn channel(&self, app: &App) -> Channel {
        let Self { name } = self;
        let url = format!("amqp://{name}:secret@{}/{}", app.places.amqp_address, app.names);
        let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        channel
    }

    async fn delete(&self, app: &App) {
        app.management(Method::DELETE, &format!("users/{}", self.name), None).await;
    }
}
