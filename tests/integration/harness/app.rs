//! The application under test: names of its own on the servers that all share,
//! prepared, and the services.
//!
//! The services that an application starts with share one process, unless a
//! test says that it stops, kills or reads one of them ([`Options::apart`]).
//! Those that it starts later have processes of their own.

use std::path::Path;
use std::process::Output;

use onboard_contract::EventId;
use onboard_stack::{Component, Servers};
use serde_json::{Value, json};
use uuid::Uuid;

use super::clients::Clients;
use super::costs::{Phase, phase};
use super::eventually::{dwindles, eventually};
use super::names;
use super::options::{Options, Places, environment};
use super::processes::{Named, Processes};
use super::servers::{ONBOARD, shared_servers};

/// The password of those whose password does not matter.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A running application.
pub(crate) struct App {
    /// Names the task queue and the logs of this application alone.
    pub(crate) id: String,
    /// Names the databases and the virtual host, which another application may
    /// have used before.
    pub(crate) names: String,
    pub(crate) places: Places,
    pub(crate) http: reqwest::Client,
    pub(super) clients: Clients,
    env: Vec<(String, String)>,
    processes: Processes,
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
        let app = Self::make(host, places, &options, options.together()).await;
        phase(Phase::Start, app.processes.start(&options)).await;
        app
    }

    /// An application on the shared servers, its services not started yet.
    pub(crate) async fn prepare_on_shared(options: Options) -> Self {
        let servers = shared_servers().await;
        Self::prepare(servers, Places::of(servers), options).await
    }

    /// Everything but the start of the services, which have a process each.
    pub(crate) async fn prepare(host: &Servers, places: Places, options: Options) -> Self {
        Self::make(host, places, &options, Vec::new()).await
    }

    async fn make(
        host: &Servers,
        places: Places,
        options: &Options,
        together: Vec<&'static str>,
    ) -> Self {
        let id = Uuid::new_v4().simple().to_string()[..12].to_owned();
        let free = names::free(&places);
        let names = free.clone().unwrap_or_else(|| id.clone());
        let env = environment(host, (&id, &names), &places, options);
        let of = Named { id: &id, names: &names, places: &places };
        let app = Self {
            processes: Processes::supervise(host, &of, &env, options, together),
            env,
            id,
            names,
            places,
            http: reqwest::Client::new(),
            clients: Clients::default(),
        };
        phase(Phase::Setup, async {
            match options.program("setup") {
                Some(program) => app.prepare_names_by(program).await,
                None => app.prepare_names(free.is_some()).await,
            }
        })
        .await;
        app
    }

    /// Runs a command of the program with the application's settings.
    pub(crate) async fn onboard(&self, args: &[&str]) -> Output {
        phase(Phase::Command, self.command(args).output()).await.unwrap()
    }

    /// A command of the program with the application's settings.
    pub(crate) fn command(&self, args: &[&str]) -> tokio::process::Command {
        self.command_of(Path::new(ONBOARD), args)
    }

    /// A command of another build of the program.
    fn command_of(&self, program: &Path, args: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(program);
        command.args(args).envs(self.env.iter().cloned()).kill_on_drop(true);
        command
    }

    /// Prepares new names with `setup` of another build.
    async fn prepare_names_by(&self, program: &Path) {
        self.create_vhost().await;
        let output = self.command_of(program, &["setup"]).output().await.unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }

    /// One of the services, to be stopped, killed, frozen or started.
    pub(crate) fn component(&self, name: &str) -> &Component {
        self.processes.of(name)
    }

    /// Waits until a service's `/readyz` says yes.
    pub(crate) async fn ready(&self, name: &str) {
        self.processes.ready(name).await;
    }

    /// The base URL of a service.
    pub(crate) fn url(&self, service: &str) -> String {
        format!("http://127.0.0.1:{}", self.processes.port(service))
    }

    /// Registers and returns the answer.
    pub(crate) async fn post_register(&self, email: &str) -> reqwest::Response {
        let request = self
            .http
            .post(format!("{}/api/v1/auth/register", self.url("auth")))
            .json(&json!({ "email": email, "password": PASSWORD }));
        phase(Phase::Registration, request.send()).await.unwrap()
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

    /// The value of a gauge without labels.
    pub(crate) async fn gauge(&self, service: &str, name: &str) -> f64 {
        let url = format!("{}/metrics", self.url(service));
        let text = self.http.get(url).send().await.unwrap().text().await.unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("{service} has no {name}: {text}"))
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
        let removed = async {
            self.processes.stop().await;
            self.give_names_back().await;
        };
        phase(Phase::Finish, removed).await;
    }

    /// See [`Self::finish`].
    pub(crate) async fn nothing_is_left(&self) {
        phase(Phase::Finish, self.all_has_ended()).await;
    }

    async fn all_has_ended(&self) {
        dwindles("unfinished rows", || self.unfinished_rows()).await;
        eventually("the queues are empty", async || match self.queue_depths().await {
            (0, 0) => Ok(()),
            depths => Err(format!("(queue, dead letters) = {depths:?}")),
        })
        .await;
        self.extra_queues_are_empty().await;
        dwindles("open workflows", async || self.open_workflows().await as u64).await;
        self.assert_one_todo_each().await;
    }
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
