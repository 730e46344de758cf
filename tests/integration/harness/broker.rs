//! What a test sees and does through RabbitMQ's management API, as a person
//! would on the management page.

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::App;

impl App {
    pub(crate) async fn create_vhost(&self) {
        self.management(Method::PUT, &format!("vhosts/{}", self.names), None).await;
        let all = json!({ "configure": ".*", "write": ".*", "read": ".*" });
        let path = format!("permissions/{}/guest", self.names);
        self.management(Method::PUT, &path, Some(all)).await;
    }

    /// A channel of its own to the application's virtual host.
    pub(crate) async fn channel(&self) -> lapin::Channel {
        self.clients.channel(&self.amqp_url()).await
    }

    pub(super) fn amqp_url(&self) -> String {
        format!("amqp://guest:guest@{}/{}", self.places.amqp_address, self.names)
    }

    pub(crate) async fn delete_vhost(&self) {
        self.management(Method::DELETE, &format!("vhosts/{}", self.names), None).await;
    }

    /// Publishes a body by hand, without any header; whether it was routed.
    pub(crate) async fn publish_by_hand(&self, body: &str) -> bool {
        let message = json!({
            "properties": {},
            "routing_key": "user.registered",
            "payload": body,
            "payload_encoding": "string",
        });
        self.publish(message).await
    }

    /// Puts a body straight into the queue, past the exchange and its binding.
    pub(crate) async fn publish_to_queue(&self, body: &str) {
        let message = json!({
            "properties": {},
            "routing_key": "user_registered_queue",
            "payload": body,
            "payload_encoding": "string",
        });
        let path = format!("exchanges/{}/amq.default/publish", self.names);
        self.management(Method::POST, &path, Some(message)).await;
    }

    /// Publishes what the management API takes.
    pub(crate) async fn publish(&self, message: Value) -> bool {
        self.publish_through("user.events", message).await
    }

    /// The same through any exchange.
    pub(crate) async fn publish_through(&self, exchange: &str, message: Value) -> bool {
        let path = format!("exchanges/{}/{exchange}/publish", self.names);
        let answer = self.management(Method::POST, &path, Some(message)).await;
        answer.json::<Value>().await.unwrap()["routed"].as_bool().unwrap()
    }

    /// Messages that wait in the queue and among the dead letters. Asked by a
    /// passive declare, which is exact; the management API's figures lag.
    pub(crate) async fn queue_depths(&self) -> (u32, u32) {
        let channel = self.clients.channel(&self.amqp_url()).await;
        let mut depths = Vec::new();
        for queue in ["user_registered_queue", "user_registered_queue.dlq"] {
            let passive = QueueDeclareOptions { passive: true, ..Default::default() };
            let declared = channel.queue_declare(queue.into(), passive, FieldTable::default());
            depths.push(declared.await.unwrap().message_count());
        }
        channel.close(200, "asked".into()).await.unwrap();
        (depths[0], depths[1])
    }

    /// The dead letters, left where they are: headers and body of each.
    pub(crate) async fn dead_letters(&self) -> Vec<Value> {
        let path = format!("queues/{}/user_registered_queue.dlq/get", self.names);
        let ask = json!({ "count": 1000, "ackmode": "ack_requeue_true", "encoding": "auto" });
        self.management(Method::POST, &path, Some(ask)).await.json().await.unwrap()
    }

    /// Empties the dead-letter queue.
    pub(crate) async fn purge_dead_letters(&self) {
        let path = format!("queues/{}/user_registered_queue.dlq/contents", self.names);
        self.management(Method::DELETE, &path, None).await;
    }

    /// Takes the queue's binding away: publishing becomes unroutable.
    pub(crate) async fn unbind(&self) {
        let path = format!(
            "bindings/{}/e/user.events/q/user_registered_queue/user.registered",
            self.names
        );
        self.management(Method::DELETE, &path, None).await;
    }

    /// Gives the binding back.
    pub(crate) async fn bind(&self) {
        let path = format!("bindings/{}/e/user.events/q/user_registered_queue", self.names);
        let binding = json!({ "routing_key": "user.registered", "arguments": {} });
        self.management(Method::POST, &path, Some(binding)).await;
    }

    pub(crate) async fn management(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Response {
        let url = format!("{}/api/{path}", self.places.management_url);
        let mut request = self.http.request(method, &url).basic_auth("guest", Some("guest"));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{url}: {}", answer.status());
        answer
    }
}
