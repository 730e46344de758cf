//! A consumer of another program: its setting, its queue, and one in little that
//! acknowledges over the broker as the Python program does.

use std::sync::{Arc, Mutex};

use futures::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use onboard_contract::{ConsumerName, EventId, Queue};
use onboard_events::ExtraConsumers;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{App, Options, eventually};

const SETTING: &str = "EXTRA_CONSUMERS";
const ACKNOWLEDGEMENTS: &str = "acknowledgements";

impl Options {
    /// New registrations wait for the consumer `crm`, too.
    pub(crate) fn expecting_crm(self) -> Self {
        self.with(SETTING, "crm:USER_REGISTERED")
    }
}

impl App {
    /// The consumers of other programs that the application's setting names.
    pub(super) fn extra_consumers(&self) -> ExtraConsumers {
        let command = self.command(&[]);
        let mut all = command.as_std().get_envs().filter(|(name, _)| *name == SETTING);
        let text = all.next().and_then(|(_, value)| value?.to_str()).unwrap_or_default();
        text.parse().unwrap()
    }

    /// With consumers of other programs: their queues are empty, and so are those
    /// of the acknowledgements.
    pub(super) async fn extra_queues_are_empty(&self) {
        let own = self
            .extra_consumers()
            .names()
            .iter()
            .map(onboard_events::registration_queue)
            .collect::<Vec<_>>();
        if own.is_empty() {
            return;
        }
        let names = own.iter().flat_map(|of| [&*of.name, &*of.dead_letter_queue]);
        let names = names.chain([ACKNOWLEDGEMENTS, "acknowledgements.dlq"]);
        for queue in names {
            eventually(&format!("{queue} is empty"), async || match self.depth(queue).await {
                0 => Ok(()),
                depth => Err(depth),
            })
            .await;
        }
    }

    /// Acknowledgements and dead letters of them that wait.
    pub(super) async fn acknowledgements_left(&self) -> u32 {
        self.depth(ACKNOWLEDGEMENTS).await + self.depth("acknowledgements.dlq").await
    }

    /// Removes what the setting has added to the virtual host, so that it is as
    /// others have it.
    pub(super) async fn remove_extra_queues(&self) {
        for of in self.extra_consumers().names().iter().map(onboard_events::registration_queue) {
            for path in [
                format!("queues/{}/{}", self.names, of.name),
                format!("queues/{}/{}", self.names, of.dead_letter_queue),
                format!("exchanges/{}/{}", self.names, of.dead_letter_exchange),
            ] {
                self.management(Method::DELETE, &path, None).await;
            }
        }
    }

    /// How many messages are ready in a queue, exactly.
    pub(crate) async fn depth(&self, queue: &str) -> u32 {
        let channel = self.clients.channel(&self.amqp_url()).await;
        let passive = QueueDeclareOptions { passive: true, ..Default::default() };
        let declared = channel.queue_declare(queue.into(), passive, FieldTable::default()).await;
        let depth = declared.unwrap().message_count();
        channel.close(200, "asked".into()).await.unwrap();
        depth
    }

    /// Loses what waits in a queue.
    pub(crate) async fn purge(&self, queue: &str) {
        let channel = self.clients.channel(&self.amqp_url()).await;
        channel.queue_purge(queue.into(), QueuePurgeOptions::default()).await.unwrap();
        channel.close(200, "purged".into()).await.unwrap();
    }

    /// Publishes bodies to the exchange of the acknowledgements, all at once;
    /// the broker confirms each.
    pub(crate) async fn acknowledge_with(&self, key: &str, bodies: &[String]) {
        let channel = self.clients.channel(&self.amqp_url()).await;
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let mut confirms = Vec::new();
        for body in bodies {
            confirms.push(send(&channel, key, body).await.unwrap());
        }
        for confirm in confirms {
            assert!(matches!(confirm.await.unwrap(), Confirmation::Ack(None)), "it is routed");
        }
        channel.close(200, "published".into()).await.unwrap();
    }

    /// A consumer acknowledges an event.
    pub(crate) async fn acknowledge(&self, consumer: &str, event: EventId, reference: &str) {
        self.acknowledge_with(consumer, &[body(consumer, event, reference)]).await;
    }

    /// Waits until no acknowledgement waits in its queue.
    pub(crate) async fn acknowledgements_are_taken(&self) {
        eventually("the acknowledgements are handed out", async || {
            match self.depth(ACKNOWLEDGEMENTS).await {
                0 => Ok(()),
                depth => Err(depth),
            }
        })
        .await;
    }

    /// The reasons of the acknowledgements that are dead letters, sorted.
    pub(crate) async fn acknowledgement_letters(&self) -> Vec<String> {
        let letters = self.peek("acknowledgements.dlq").await;
        let reason = |letter: &Value| {
            letter["properties"]["headers"]["x-onboard-reason"].as_str().unwrap().to_owned()
        };
        let mut reasons: Vec<String> = letters.iter().map(reason).collect();
        reasons.sort();
        reasons
    }
}

/// The body of an acknowledgement.
pub(crate) fn body(consumer: &str, event: EventId, reference: &str) -> String {
    json!({ "eventId": event, "consumer": consumer, "ref": reference }).to_string()
}

/// What the consumer in little acknowledges with.
pub(crate) fn reference(event: EventId) -> String {
    format!("customer-{event}")
}

async fn send(
    channel: &Channel,
    key: &str,
    body: &str,
) -> lapin::Result<impl Future<Output = lapin::Result<Confirmation>>> {
    let properties = BasicProperties::default().with_delivery_mode(2);
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let exchange = ACKNOWLEDGEMENTS.into();
    channel.basic_publish(exchange, key.into(), options, body.as_bytes(), properties).await
}

/// The consumer `crm`, in the test's own process.
pub(crate) struct Crm {
    connection: Connection,
    seen: Arc<Mutex<Vec<EventId>>>,
    _running: JoinSet<()>,
}

impl Crm {
    /// Consumes from now on.
    pub(crate) async fn start(app: &App) -> Self {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&app.amqp_url(), properties).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        channel.basic_qos(64, BasicQosOptions::default()).await.unwrap();
        let crm: ConsumerName = "crm".parse().unwrap();
        let (queue, options) =
            (onboard_events::registration_queue(&crm).name, BasicConsumeOptions::default());
        let consumer = channel
            .basic_consume((&*queue).into(), "crm".into(), options, FieldTable::default())
            .await
            .unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut running = JoinSet::new();
        running.spawn(consume(channel, consumer, Arc::clone(&seen)));
        Self { connection, seen, _running: running }
    }

    /// The events it got, each as often as it came.
    pub(crate) fn seen(&self) -> Vec<EventId> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) async fn stop(self) {
        self.connection.close(200, "the consumer stops".into()).await.unwrap();
    }
}

async fn consume(channel: Channel, mut consumer: lapin::Consumer, seen: Arc<Mutex<Vec<EventId>>>) {
    while let Some(Ok(delivery)) = consumer.next().await {
        let event: Value = serde_json::from_slice(&delivery.data).unwrap();
        let event: EventId = event["eventId"].as_str().unwrap().parse().unwrap();
        seen.lock().unwrap().push(event);
        let acknowledged = async {
            let body = body("crm", event, &reference(event));
            let confirmed = send(&channel, "crm", &body).await?.await?;
            assert!(matches!(confirmed, Confirmation::Ack(None)), "{confirmed:?}");
            delivery.ack(BasicAckOptions::default()).await
        };
        // The connection is gone: the message comes again.
        if acknowledged.await.is_err() {
            return;
        }
    }
}
