//! What a test sees of messages: through queues of its own, or by giving them
//! back too often.

use lapin::options::{
    BasicGetOptions, BasicPublishOptions, BasicRejectOptions, ConfirmSelectOptions,
};
use lapin::{BasicProperties, Confirmation, Connection, ConnectionProperties};
use reqwest::Method;
use serde_json::{Value, json};

use super::App;
use super::eventually::eventually;

impl App {
    /// A queue of the test's own, bound to an exchange.
    pub(crate) async fn declare_copies(&self, queue: &str, exchange: &str, key: &str) {
        let path = format!("queues/{}/{queue}", self.names);
        self.management(Method::PUT, &path, Some(json!({ "durable": true }))).await;
        let path = format!("bindings/{}/e/{exchange}/q/{queue}", self.names);
        self.management(Method::POST, &path, Some(json!({ "routing_key": key }))).await;
    }

    /// The messages in a queue, left where they are.
    pub(crate) async fn peek(&self, queue: &str) -> Vec<Value> {
        let path = format!("queues/{}/{queue}/get", self.names);
        let ask = json!({ "count": 1000, "ackmode": "ack_requeue_true", "encoding": "auto" });
        self.management(Method::POST, &path, Some(ask)).await.json().await.unwrap()
    }

    /// What the broker says of a queue or an exchange.
    pub(crate) async fn declared(&self, kind: &str, name: &str) -> Value {
        let path = format!("{kind}/{}/{name}", self.names);
        self.management(Method::GET, &path, None).await.json().await.unwrap()
    }

    /// Publishes many bodies, and returns when the queue has them all.
    pub(crate) async fn publish_all(&self, bodies: &[String]) {
        let url = format!("amqp://guest:guest@{}/{}", self.places.amqp_address, self.names);
        let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let mut confirms = Vec::new();
        for body in bodies {
            let properties = BasicProperties::default().with_delivery_mode(2);
            let options = BasicPublishOptions { mandatory: true, ..Default::default() };
            let publish = channel.basic_publish(
                "user.events".into(),
                "user.registered".into(),
                options,
                body.as_bytes(),
                properties,
            );
            confirms.push(publish.await.unwrap());
        }
        for confirm in confirms {
            assert!(matches!(confirm.await.unwrap(), Confirmation::Ack(None)), "it was routed");
        }
        connection.close(200, "done".into()).await.unwrap();
    }

    /// Gives the one message in the queue back until the broker gives it up.
    pub(crate) async fn give_up_by_the_broker(&self) {
        let url = format!("amqp://guest:guest@{}/{}", self.places.amqp_address, self.names);
        let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let options = BasicGetOptions { no_ack: false };
        eventually("the broker gives it up", async || {
            let got = channel.basic_get("user_registered_queue".into(), options).await.unwrap();
            match got {
                Some(message) => {
                    let back = BasicRejectOptions { requeue: true };
                    channel.basic_reject(message.delivery_tag, back).await.unwrap();
                    Err("it came again")
                }
                None if self.queue_depths().await.1 > 0 => Ok(()),
                None => Err("it is on its way"),
            }
        })
        .await;
        connection.close(200, "done".into()).await.unwrap();
    }
}
