//! The application under test: `onboard setup`, then the four services as
//! processes, with names of their own on the servers they share.

use std::collections::BTreeMap;
use std::process::Output;

use onboard_contract::EventId;
use onboard_stack::ports::Lease;
use onboard_stack::{Component, Events, Servers, services};
use serde_json::{Value, json};
use uuid::Uuid;

use super::eventually::{dwindles, eventually};
use super::servers::{ONBOARD, shared_servers};

/// The password of those whose password does not matter.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// How an application differs from the plain one.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The services to start; the others can be started later.
    pub(crate) services: Vec<&'static str>,
    /// More settings, for all services.
    pub(crate) env: Vec<(&'static str, String)>,
    /// Components besides the four services: name and service.
    pub(crate) more: Vec<(&'static str, &'static str)>,
    /// The service whose MongoDB connections are named after the application,
    /// so that a fail point hits it alone.
    pub(crate) failing: Option<&'static str>,
    /// More settings for one component: its name, setting, value; `{id}` in a
    /// value stands for the application's id.
    pub(crate) env_for: Vec<(&'static str, &'static str, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            services: services::NAMES.into(),
            env: Vec::new(),
            more: Vec::new(),
            failing: None,
            env_for: Vec::new(),
        }
    }
}

impl Options {
    /// Only these services.
    pub(crate) fn only(services: &[&'static str]) -> Self {
        Self { services: services.into(), ..Self::default() }
    }

    /// With a setting.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.env.push((name, value.to_owned()));
        self
    }

    /// With a setting of one component alone; see `env_for`.
    pub(crate) fn with_for(
        mut self,
        component: &'static str,
        name: &'static str,
        value: &str,
    ) -> Self {
        self.env_for.push((component, name, value.to_owned()));
        self
    }

    /// With a service that fail points can hit: see `App::fail_commands`.
    pub(crate) fn failing(mut self, service: &'static str) -> Self {
        self.failing = Some(service);
        self
    }

    /// With another process of a service.
    pub(crate) fn and(mut self, name: &'static str, service: &'static str) -> Self {
        self.more.push((name, service));
        self
    }
}

/// The address and credentials of each server; by default those of one set.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) mongodb_uri: String,
    pub(crate) amqp_address: String,
    pub(crate) management_url: String,
    pub(crate) temporal_address: String,
}

impl Places {
    pub(crate) fn of(servers: &Servers) -> Self {
        Self {
            mongodb_uri: servers.mongodb_uri(),
            amqp_address: format!("127.0.0.1:{}", servers.ports().amqp),
            management_url: servers.management_url(),
            temporal_address: servers.temporal_address(),
        }
    }
}

/// A running application.
pub(crate) struct App {
    pub(crate) id: String,
    pub(crate) places: Places,
    pub(crate) http: reqwest::Client,
    env: Vec<(String, String)>,
    components: BTreeMap<&'static str, Component>,
    ports: BTreeMap<&'static str, u16>,
    leases: Vec<Lease>,
}

impl App {
    /// The plain application on the shared servers.
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// An application on the shared servers.
    pub(crate) async fn start_with(options: Options) -> Self {
        let servers = shared_servers().await;
        Self::start_on(servers, Places::of(servers), options).await
    }

    /// An application on these servers. `host` gives the guard and the logs;
    /// `places` may name servers of several sets.
    pub(crate) async fn start_on(host: &Servers, places: Places, options: Options) -> Self {
        let app = Self::prepare(host, places, options.clone()).await;
        for name in options.services.iter().chain(options.more.iter().map(|(name, _)| name)) {
            app.component(name).request_start().await.unwrap();
        }
        for name in options.services.iter().chain(options.more.iter().map(|(name, _)| name)) {
            app.ready(name).await;
        }
        app
    }

    /// An application on the shared servers, its services not started yet.
    pub(crate) async fn prepare_on_shared(options: Options) -> Self {
        let servers = shared_servers().await;
        Self::prepare(servers, Places::of(servers), options).await
    }

    /// Everything but the start of the services.
    pub(crate) async fn prepare(host: &Servers, places: Places, options: Options) -> Self {
        let id = Uuid::new_v4().simple().to_string()[..12].to_owned();
        let mut app = Self {
            env: environment(host, &id, &places, &options),
            id,
            places,
            http: reqwest::Client::new(),
            components: BTreeMap::new(),
            ports: BTreeMap::new(),
            leases: Vec::new(),
        };
        app.create_vhost().await;
        let output = app.onboard(&["setup"]).await;
        assert!(output.status.success(), "setup: {}", text(&output));
        let four = services::NAMES.into_iter().map(|name| (name, name));
        for (name, service) in four.chain(options.more.iter().copied()) {
            app.supervise(host, name, service, &options);
        }
        app
    }

    fn supervise(
        &mut self,
        host: &Servers,
        name: &'static str,
        service: &'static str,
        options: &Options,
    ) {
        let lease = Lease::any().unwrap();
        let port = lease.port();
        let mut env: Vec<(&str, &str)> =
            self.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let named = format!("{}&appName={}", self.places.mongodb_uri, self.id);
        if options.failing == Some(service) {
            env.push(("MONGODB_URI", &named));
        }
        // The first of the four, so its port is known.
        let auth = self.ports.get("auth").copied().unwrap_or(port);
        let jwks = format!("http://127.0.0.1:{auth}/.well-known/jwks.json");
        env.push(("JWKS_URL", &jwks));
        let its_own: Vec<(&str, String)> = options
            .env_for
            .iter()
            .filter(|(component, ..)| *component == name)
            .map(|(_, name, value)| (*name, value.replace("{id}", &self.id)))
            .collect();
        env.extend(its_own.iter().map(|(name, value)| (*name, value.as_str())));
        let label = format!("{name}-{}", self.id);
        let events = Events::silent();
        let component = services::supervise(host, &label, (service, port), &env, &events).unwrap();
        self.components.insert(name, component);
        self.ports.insert(name, port);
        self.leases.push(lease);
    }

    /// Runs a command of the program with the application's settings.
    pub(crate) async fn onboard(&self, args: &[&str]) -> Output {
        self.command(args).output().await.unwrap()
    }

    /// A command of the program with the application's settings.
    pub(crate) fn command(&self, args: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(ONBOARD);
        command.args(args).envs(self.env.iter().cloned()).kill_on_drop(true);
        command
    }

    /// One of the services, to be stopped, killed, frozen or started.
    pub(crate) fn component(&self, name: &str) -> &Component {
        &self.components[name]
    }

    /// Waits until a service's `/readyz` says yes.
    pub(crate) async fn ready(&self, name: &str) {
        self.component(name).ready(std::time::Duration::from_mins(1)).await.unwrap();
    }

    /// The base URL of a service.
    pub(crate) fn url(&self, service: &str) -> String {
        format!("http://127.0.0.1:{}", self.ports[service])
    }

    /// Registers and returns the answer.
    pub(crate) async fn post_register(&self, email: &str) -> reqwest::Response {
        self.http
            .post(format!("{}/api/v1/auth/register", self.url("auth")))
            .json(&json!({ "email": email, "password": PASSWORD }))
            .send()
            .await
            .unwrap()
    }

    /// Registers a fresh address, expects 201, and returns the registration.
    pub(crate) async fn register(&self) -> EventId {
        let answer = self.post_register(&self.address()).await;
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
        let body: Value = answer.json().await.unwrap();
        body["registrationId"].as_str().unwrap().parse().unwrap()
    }

    /// A fresh address.
    #[expect(clippy::unused_self, reason = "reads as the application's")]
    pub(crate) fn address(&self) -> String {
        format!("{}@example.com", Uuid::new_v4().simple())
    }

    /// The registration as auth tells it.
    pub(crate) async fn registration(&self, id: EventId) -> Value {
        let url = format!("{}/api/v1/registrations/{id}", self.url("auth"));
        self.http.get(url).send().await.unwrap().json().await.unwrap()
    }

    /// Waits until the registration is in this stage.
    pub(crate) async fn reaches(&self, id: EventId, stage: &str) {
        eventually(&format!("{id} reaches {stage}"), async || {
            let seen = self.registration(id).await;
            if is_in(&seen, stage) { Ok(()) } else { Err(seen) }
        })
        .await;
    }

    /// A counter of a service: the sum over the series whose labels hold
    /// `label`.
    pub(crate) async fn counter(&self, service: &str, name: &str, label: &str) -> u64 {
        let url = format!("{}/metrics", self.url(service));
        let text = self.http.get(url).send().await.unwrap().text().await.unwrap();
        text.lines()
            .filter(|line| line.starts_with(name) && line.contains(label))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }

    /// Asserts that nothing is left over: every row SENT and acknowledged, one
    /// todo and one inbox record for each, queues empty, no open workflow.
    /// Then stops the services, gracefully, and removes what was made.
    pub(crate) async fn finish(self) {
        self.nothing_is_left().await;
        self.remove().await;
    }

    /// Stops the services and removes what was made.
    pub(crate) async fn remove(self) {
        for component in self.components.values() {
            component.stop().await.unwrap();
        }
        self.drop_databases().await;
        self.delete_vhost().await;
    }

    /// See [`Self::finish`].
    pub(crate) async fn nothing_is_left(&self) {
        dwindles("unfinished rows", || self.unfinished_rows()).await;
        eventually("the queues are empty", async || match self.queue_depths().await {
            (0, 0) => Ok(()),
            depths => Err(format!("(queue, dead letters) = {depths:?}")),
        })
        .await;
        dwindles("open workflows", async || self.open_workflows().await as u64).await;
        self.assert_one_todo_each().await;
    }
}

fn environment(
    host: &Servers,
    id: &str,
    places: &Places,
    options: &Options,
) -> Vec<(String, String)> {
    let Places { mongodb_uri, amqp_address, temporal_address, .. } = places;
    let mut env: Vec<(String, String)> = [
        ("MONGODB_URI", mongodb_uri.clone()),
        ("MONGODB_AUTH_DATABASE", format!("auth-{id}")),
        ("MONGODB_TODO_DATABASE", format!("todo-{id}")),
        ("AMQP_URL", format!("amqp://guest:guest@{amqp_address}/{id}")),
        ("TEMPORAL_ADDRESS", temporal_address.clone()),
        ("TEMPORAL_TASK_QUEUE", format!("registration-{id}")),
        // Hashing at its cheapest: it is not what these tests are about.
        ("ONBOARD_INSECURE_HASHING", "yes".to_owned()),
        ("ARGON2_MEMORY_KIB", "8".to_owned()),
        ("ARGON2_ITERATIONS", "1".to_owned()),
        ("ONBOARD_LOG_FORMAT", "json".to_owned()),
        ("ONBOARD_ENVIRONMENT", "local".to_owned()),
        ("AUTH_SECRET_FILE", host.home().secret_file().display().to_string()),
        ("RATE_LIMIT_EXEMPT", "127.0.0.0/8,::1/128".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    env.extend(options.env.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    env
}

/// What a command printed.
pub(crate) fn text(output: &Output) -> String {
    let parts = [&output.stdout, &output.stderr].map(|part| String::from_utf8_lossy(part));
    parts.join("\n")
}

/// Whether a registration is in a stage. SENT does not last: without an
/// acknowledgement it soon is STALLED, which is as good.
pub(crate) fn is_in(registration: &Value, stage: &str) -> bool {
    let seen = &registration["stage"];
    seen == stage || (stage == "SENT" && seen == "STALLED")
}
