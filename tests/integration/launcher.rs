//! `onboard up` and the commands that act on it, as a person types them.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use onboard::services;
use onboard_stack::{Priority, Server};
use procfs::process::Process;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::harness::{
    Home, ONBOARD, Operated, all_ready, components, eventually, nothing_runs, text,
};

/// What a background process adds to its niceness, and the most there is.
const BACKGROUND: i64 = 15;
const LOWEST: i64 = 19;

struct Launched {
    home: Home,
    up: Child,
}

impl Launched {
    async fn up() -> Self {
        let home = Home::new("up");
        let up = spawn(home.path());
        let launched = Self { home, up };
        launched.all_ready().await;
        launched
    }

    async fn onboard(&self, args: &[&str]) -> Output {
        command(self.home.path()).args(args).output().await.unwrap()
    }

    async fn status(&self) -> Vec<Value> {
        let output = self.onboard(&["status", "--json"]).await;
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    async fn row(&self, component: &str) -> Value {
        let rows = components(self.home.path()).await;
        rows.into_iter().find(|row| row["component"] == component).unwrap()
    }

    async fn all_ready(&self) {
        all_ready(self.home.path()).await;
    }

    async fn pids(&self) -> Vec<i32> {
        let rows = components(self.home.path()).await;
        rows.iter().map(|row| row["pid"].as_i64().unwrap().try_into().unwrap()).collect()
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.up.id().unwrap()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }
}

fn command(home: &Path) -> Command {
    let mut command = Command::new(ONBOARD);
    command.env("ONBOARD_HOME", home).kill_on_drop(true);
    command
}

fn spawn(home: &Path) -> Child {
    let log = std::fs::File::create(home.join("up.log")).unwrap();
    let mut up = command(home);
    up.args(["up", "--ports", "free"]);
    up.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    up.spawn().unwrap()
}

fn lives(pid: i32) -> bool {
    kill(Pid::from_raw(pid), None).is_ok()
}

async fn register(launched: &Launched) -> reqwest::Response {
    let auth = launched.row("auth").await["port"].clone();
    reqwest::Client::new()
        .post(format!("http://127.0.0.1:{auth}/api/v1/auth/register"))
        .json(&json!({ "email": "ada@example.com", "password": "correct horse battery" }))
        .send()
        .await
        .unwrap()
}

async fn a_registration_goes_through(launched: &Launched) {
    let registered = register(launched).await;
    assert_eq!(registered.status(), 201);
    let id = registered.json::<Value>().await.unwrap()["registrationId"].clone();
    let auth = launched.row("auth").await["port"].clone();
    let url = format!("http://127.0.0.1:{auth}/api/v1/registrations/{}", id.as_str().unwrap());
    eventually("the registration is acknowledged", async || {
        let seen: Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
        if seen["stage"] == "ACKNOWLEDGED" { Ok(()) } else { Err(seen) }
    })
    .await;
}

async fn a_killed_component_is_restarted(launched: &Launched, component: &str) {
    let before = launched.row(component).await["pid"].clone();
    let killed = launched.onboard(&["kill", component]).await;
    assert!(killed.status.success(), "{}", text(&killed));
    eventually("it is restarted", async || {
        let row = launched.row(component).await;
        if row["state"] == "ready" && row["pid"] != before { Ok(()) } else { Err(row) }
    })
    .await;
}

async fn a_stopped_component_stays_stopped(launched: &Launched) {
    let stopped = launched.onboard(&["stop", "rabbitmq"]).await;
    assert!(stopped.status.success(), "{}", text(&stopped));
    assert_eq!(launched.row("rabbitmq").await["state"], "stopped");
    assert_eq!(launched.onboard(&["status"]).await.status.code(), Some(1), "not all ready");
    let started = launched.onboard(&["start", "rabbitmq"]).await;
    assert!(started.status.success(), "{}", text(&started));
    launched.all_ready().await;
    assert_eq!(launched.onboard(&["status"]).await.status.code(), Some(0), "all ready");
    let wrong = launched.onboard(&["stop", "nonsense"]).await;
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong));
}

async fn a_second_up_is_refused(launched: &Launched) {
    let second = launched.onboard(&["up", "--ports", "free"]).await;
    assert!(!second.status.success(), "a second `up` on the same home is refused");
    assert!(text(&second).contains(&launched.up.id().unwrap().to_string()), "{}", text(&second));
}

async fn an_interrupt_stops_everything(launched: &mut Launched) {
    let pids = launched.pids().await;
    launched.signal(Signal::SIGINT);
    let ended = tokio::time::timeout(Duration::from_mins(1), launched.up.wait()).await;
    assert!(ended.expect("up ends").unwrap().success(), "gracefully");
    assert!(pids.into_iter().all(|pid| !lives(pid)));
    nothing_runs(launched.home.path()).await;
    let status = launched.onboard(&["status"]).await;
    assert_eq!(status.status.code(), Some(1), "{}", text(&status));
}

/// Beside whatever priority the tests themselves were started with.
fn what_nobody_waits_for_runs_at_a_lower_priority(rows: &[Value]) {
    let nice = |pid: i32| Process::new(pid).unwrap().stat().unwrap().nice;
    let inherited = nice(std::process::id().try_into().unwrap());
    for row in rows {
        let name = row["component"].as_str().unwrap();
        let background = match services::find(name) {
            Some(service) => service.priority == Priority::Background,
            None => name == Server::Temporal.name(),
        };
        let expected = if background { LOWEST.min(inherited + BACKGROUND) } else { inherited };
        let pid = row["pid"].as_i64().unwrap().try_into().unwrap();
        assert_eq!(nice(pid), expected, "{name}, where the tests have {inherited}");
    }
}

#[tokio::test]
async fn up_runs_everything_and_leaves_nothing_behind() {
    let mut launched = Launched::up().await;
    let rows = launched.status().await;
    let names: Vec<Value> = rows.iter().map(|row| row["component"].clone()).collect();
    let servers = Server::ALL.map(Server::name).into_iter();
    let components: Vec<_> = servers.chain(services::names()).collect();
    assert_eq!(names, components);

    what_nobody_waits_for_runs_at_a_lower_priority(&rows);
    a_registration_goes_through(&launched).await;
    a_killed_component_is_restarted(&launched, "relay").await;
    a_killed_component_is_restarted(&launched, "mongo").await;
    a_stopped_component_stays_stopped(&launched).await;
    a_second_up_is_refused(&launched).await;
    an_interrupt_stops_everything(&mut launched).await;

    // Data survives, on other ports too: the address is taken after a restart.
    launched.up = spawn(launched.home.path());
    launched.all_ready().await;
    assert_eq!(register(&launched).await.status(), 409);

    // And nothing outlives a SIGKILL of `up` itself.
    launched.up.kill().await.unwrap();
    nothing_runs(launched.home.path()).await;
}

#[tokio::test]
async fn a_taken_port_is_named_with_what_holds_it() {
    // Held by this test, or by somebody else: taken either way.
    let held = std::net::TcpListener::bind("127.0.0.1:4001");
    let home = tempfile::tempdir().unwrap();
    let output = command(home.path()).arg("up").output().await.unwrap();
    let said = text(&output);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("4001") && said.contains("--ports free"), "{said}");
    if held.is_ok() {
        assert!(said.contains(&std::process::id().to_string()), "{said}");
    }
    nothing_runs(home.path()).await;
}

#[tokio::test]
async fn env_tells_a_shell_where_everything_is() {
    // Of the shell, for another system: what `up` runs does not take them over.
    let elsewhere = [
        ("ONBOARD_MANAGEMENT_ADDRESS", "127.0.0.1:1"),
        ("JWKS_CA_FILE", "/nowhere"),
        ("JWKS_THUMBPRINTS", "of another key"),
    ];
    let operated = Operated::up(&elsewhere).await;
    for check in [
        "curl -sf \"$AUTH_URL/readyz\" && curl -sf \"$TODO_URL/readyz\"",
        "curl -sf \"$RELAY_URL/readyz\" && curl -sf \"$WORKER_URL/readyz\"",
        "curl -sf \"$AMQP_MANAGEMENT_URL/api/overview\"",
        "curl -sf \"$TEMPORAL_UI_URL\" && temporal operator cluster health",
        "rabbitmqctl list_queues name | grep -q user_registered_queue",
        "onboard audit && onboard keys list && onboard setup",
    ] {
        let script = format!("eval \"$(onboard env)\"; cd /; {check}");
        let told = operated.sh(&script, &[]).await;
        assert!(told.status.success(), "{check}: {}", text(&told));
    }
    operated.down().await;
    let nobody = tempfile::tempdir().unwrap();
    let told = command(nobody.path()).arg("env").output().await.unwrap();
    assert_eq!(told.status.code(), Some(1), "{}", text(&told));
}
