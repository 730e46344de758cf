//! What the tests of server faults share: load, tampering with the broker's
//! topology, the broker's memory alarm.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Confirmation};
use mongodb::bson::{Document, doc};
use onboard_contract::EventId;
use onboard_stack::Server;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::proxy::Proxy;
use super::store::uuid_of;
use super::{App, Options, Own, Places, eventually, own_servers, shared_servers};

/// An application on the shared servers, but for one that is its own.
pub(crate) async fn with_own(server: Server, options: Options) -> (App, Own) {
    let own = own_servers(&[server]).await;
    let shared = shared_servers().await;
    let (mut places, broken) = (Places::of(shared), Places::of(&own));
    match server {
        Server::Mongo => places.mongodb_uri = broken.mongodb_uri,
        Server::Rabbitmq => {
            places.amqp_address = broken.amqp_address;
            places.management_url = broken.management_url;
        }
        Server::Temporal => places.temporal_address = broken.temporal_address,
    }
    (App::start_on(shared, places, options).await, own)
}

impl Proxy {
    /// In front of a shared server.
    pub(crate) async fn before(server: Server) -> Self {
        let ports = shared_servers().await.ports();
        let port = match server {
            Server::Mongo => ports.mongo,
            Server::Rabbitmq => ports.amqp,
            Server::Temporal => ports.temporal,
        };
        Self::to(&format!("127.0.0.1:{port}")).await
    }
}

impl Options {
    /// A component's MongoDB behind a proxy. `directConnection`, since a
    /// replica set tells its clients its real address. Its connections are named after
    /// the application.
    pub(crate) fn mongo_through(self, component: &'static str, proxy: &Proxy) -> Self {
        let address = proxy.address();
        let uri = format!("mongodb://{address}/?directConnection=true&appName={{id}}");
        self.with_for(component, "MONGODB_URI", &uri)
    }

    /// A component's RabbitMQ behind a proxy, where silence is noticed soon.
    pub(crate) fn amqp_through(self, component: &'static str, proxy: &Proxy) -> Self {
        self.amqp_through_each(component, &[proxy])
    }

    /// The same behind several proxies: to the component each is a node of its own.
    pub(crate) fn amqp_through_each(self, component: &'static str, proxies: &[&Proxy]) -> Self {
        let nodes: Vec<_> = proxies.iter().map(|proxy| proxy.address().to_string()).collect();
        let url = format!("amqp://guest:guest@{}/{{names}}?heartbeat=2", nodes.join(","));
        self.with_for(component, "AMQP_URL", &url)
    }

    /// A component's Temporal behind a proxy.
    pub(crate) fn temporal_through(self, component: &'static str, proxy: &Proxy) -> Self {
        self.with_for(component, "TEMPORAL_ADDRESS", &proxy.address().to_string())
    }
}

/// What a steady stream of registrations came to.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// Answered with 201.
    pub(crate) acknowledged: Vec<EventId>,
    /// Answered with 503.
    pub(crate) refused: usize,
    /// Not answered: the service died meanwhile.
    pub(crate) unanswered: usize,
}

impl Load {
    /// Registers fresh addresses at these services in turn, one each
    /// `interval`, while `faults` goes on.
    pub(crate) async fn during(
        app: &App,
        services: &[&str],
        interval: Duration,
        faults: impl Future<Output = ()>,
    ) -> Self {
        let (over, mut seen) = watch::channel(false);
        let load = async {
            let mut load = Self::default();
            let mut ticks = tokio::time::interval(interval);
            let mut under_way = FuturesUnordered::new();
            let mut services = services.iter().cycle();
            loop {
                tokio::select! {
                    _ = ticks.tick() => under_way.push(app.try_register(services.next().unwrap())),
                    Some(answer) = under_way.next(), if !under_way.is_empty() => load.count(answer),
                    _ = seen.changed() => break,
                }
            }
            while let Some(answer) = under_way.next().await {
                load.count(answer);
            }
            load
        };
        let faults = async {
            faults.await;
            over.send_replace(true);
        };
        tokio::join!(load, faults).0
    }

    fn count(&mut self, answer: Option<Result<EventId, u16>>) {
        match answer {
            Some(Ok(id)) => self.acknowledged.push(id),
            Some(Err(503)) => self.refused += 1,
            Some(Err(other)) => panic!("a registration was answered with {other}"),
            None => self.unanswered += 1,
        }
    }
}

impl App {
    /// Registers a fresh address at one of the auth services: the
    /// registration or the status; `None` when the answer never came.
    pub(crate) async fn try_register(&self, service: &str) -> Option<Result<EventId, u16>> {
        let body = json!({ "email": self.address(), "password": "correct horse battery" });
        let url = format!("{}/api/v1/auth/register", self.url(service));
        let answer = self.http.post(url).json(&body).send().await.ok()?;
        if answer.status() != 201 {
            return Some(Err(answer.status().as_u16()));
        }
        let body: Value = answer.json().await.ok()?;
        Some(Ok(body["registrationId"].as_str().unwrap().parse().unwrap()))
    }

    /// Waits until all is done, and then finds every registration that was
    /// answered with 201 among it.
    pub(crate) async fn all_are_there(&self, load: &Load) {
        self.nothing_is_left().await;
        for id in &load.acknowledged {
            assert!(self.row(*id).await.get_datetime("acknowledgedAt").is_ok(), "{id}");
        }
    }

    /// Waits until every row is acknowledged; says what the first ones that
    /// are not are waiting for.
    pub(crate) async fn all_end(&self, what: &str) {
        let unfinished =
            doc! { "$or": [{ "status": { "$ne": "SENT" } }, { "acknowledgedAt": null }] };
        eventually(what, async || {
            let rows = self.unfinished_rows().await;
            let Some(row) = self.outbox().await.find_one(unfinished.clone()).await.unwrap() else {
                return Ok(());
            };
            let id = event_of(&row);
            let waits = self.pending_activity(id).await;
            Err(format!("{rows} rows; {id}, {} waits in {waits:?}", row.get_str("status").unwrap()))
        })
        .await;
    }

    /// Rows that are marked SENT.
    pub(crate) async fn sent(&self) -> u64 {
        self.outbox().await.count_documents(doc! { "status": "SENT" }).await.unwrap()
    }

    /// Inbox records whose workflow is not noted as told.
    pub(crate) async fn unnoted(&self) -> u64 {
        self.inbox().await.count_documents(doc! { "acknowledgedAt": null }).await.unwrap()
    }

    /// What a service's `/readyz` says: status and body.
    pub(crate) async fn readiness(&self, service: &str) -> (u16, String) {
        let answer = self.http.get(format!("{}/readyz", self.url(service))).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// How many connections of this name RabbitMQ has; its figures lag.
    pub(crate) async fn connections(&self, name: &str) -> usize {
        let path = format!("vhosts/{}/connections", self.names);
        let all: Vec<Value> = self.management(Method::GET, &path, None).await.json().await.unwrap();
        all.iter().filter(|one| one["client_properties"]["connection_name"] == name).count()
    }

    pub(crate) async fn delete_queue(&self) {
        let path = format!("queues/{}/user_registered_queue", self.names);
        self.management(Method::DELETE, &path, None).await;
    }

    pub(crate) async fn queue_is_there(&self) -> bool {
        let path = format!("queues/{}/user_registered_queue", self.names);
        let url = format!("{}/api/{path}", self.places.management_url);
        let asked = self.http.get(url).basic_auth("guest", Some("guest")).send().await;
        asked.unwrap().status().is_success()
    }

    pub(crate) async fn delete_exchange(&self) {
        let path = format!("exchanges/{}/user.events", self.names);
        self.management(Method::DELETE, &path, None).await;
    }

    /// Lets the queue take so many messages and refuse more.
    pub(crate) async fn bound_queue(&self, messages_max: u32) {
        self.bound("user_registered_queue", messages_max).await;
    }

    /// Lets a queue that is empty, and that nobody consumes, take so many messages and
    /// refuse more; one queue at a time.
    pub(crate) async fn bound(&self, queue: &str, messages_max: u32) {
        let policy = json!({
            "pattern": format!("^{queue}$"),
            "apply-to": "queues",
            "definition": { "max-length": messages_max },
        });
        self.management(Method::PUT, &format!("policies/{}/bound", self.names), Some(policy)).await;
        // RabbitMQ has taken the policy, and the queue goes by it a moment later.
        eventually("the queue refuses more", async || {
            if self.takes_another(queue).await { Err("taken") } else { Ok(()) }
        })
        .await;
        self.purge(queue).await;
    }

    /// Whether the queue takes another message, which is junk.
    async fn takes_another(&self, queue: &str) -> bool {
        let channel = self.channel().await;
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let published =
            channel.basic_publish("".into(), queue.into(), options, b"junk", properties).await;
        let confirmed = published.unwrap().await.unwrap();
        channel.close(200, "asked".into()).await.unwrap();
        matches!(confirmed, Confirmation::Ack(_))
    }

    pub(crate) async fn unbound_queue(&self) {
        self.management(Method::DELETE, &format!("policies/{}/bound", self.names), None).await;
    }
}

impl Own {
    /// Sets the memory RabbitMQ may use: one byte raises its alarm at once.
    pub(crate) async fn rabbitmq_memory(&self, bytes: u64) {
        let bytes = bytes.to_string();
        self.rabbitmqctl(&["set_vm_memory_high_watermark", "absolute", &bytes]).await;
    }

    /// Asks the node itself, with the environment it was started in.
    pub(crate) async fn rabbitmqctl(&self, args: &[&str]) {
        let pid = self.rabbitmq.as_ref().unwrap().status().pid.unwrap();
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
        let env: Vec<(&str, &str)> = std::str::from_utf8(&environ)
            .unwrap()
            .split_terminator('\0')
            .filter_map(|entry| entry.split_once('='))
            .collect();
        let path = env.iter().find(|(name, _)| *name == "PATH").unwrap().1;
        // Erlang and RabbitMQ lie in one tree, wherever that is.
        let root = path.split(':').find_map(|entry| entry.strip_suffix("/lib/erlang/bin")).unwrap();
        let output = tokio::process::Command::new(format!("{root}/lib/rabbitmq/bin/rabbitmqctl"))
            .args(args)
            .env_clear()
            .envs(env)
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "{}", super::text(&output));
    }
}

fn event_of(row: &Document) -> EventId {
    uuid_of(row.get("_id").unwrap()).into()
}
