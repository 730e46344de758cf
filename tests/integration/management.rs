//! The second listener: health and metrics apart from the API.
//!
//! No server is reached here: a process listens before it has found any.

use std::process::Stdio;
use std::time::Duration;

use onboard::services::{Entry, SERVICES, find};
use onboard_stack::ports::Lease;
use reqwest::Client;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::harness::{ONBOARD, text};

const SETTINGS: [(&str, &str); 7] = [
    ("ONBOARD_HTTP_ADDRESS", "127.0.0.1:0"),
    ("MONGODB_URI", "mongodb://u:hunter2@127.0.0.1:1/?replicaSet=rs0"),
    ("AMQP_URL", "amqp://onboard:hunter2@127.0.0.1:1/%2f"),
    ("AUTH_SECRET", "0123456789abcdef0123456789abcdef"),
    ("JWKS_URL", "http://127.0.0.1:1/.well-known/jwks.json"),
    ("ALLOW_UNPROTECTED", "mongodb,rabbitmq,temporal,jwks"),
    ("ONBOARD_LOG_FORMAT", "json"),
];

fn command(service: &str, env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(ONBOARD);
    command.arg(service).env_clear().envs(SETTINGS).envs(env.iter().copied());
    command.stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// A service that listens.
struct Listening {
    process: Child,
    http: String,
    management: Option<String>,
}

impl Listening {
    /// Starts it; it says its second address first.
    async fn start(service: &str, env: &[(&str, &str)]) -> Self {
        let mut process = command(service, env).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut management = None;
        let http = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                let line: Value = serde_json::from_str(&line).unwrap();
                let url = || format!("http://{}", line["address"].as_str().unwrap());
                match line["message"].as_str() {
                    Some("listening for health and metrics") => management = Some(url()),
                    Some("listening for HTTP") => return url(),
                    _ => (),
                }
            }
            panic!("{service} does not listen")
        };
        let http = tokio::time::timeout(Duration::from_mins(1), http).await.unwrap();
        // What it says later, it says to nobody.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { process, http, management }
    }

    fn second(&self) -> &str {
        self.management.as_deref().expect("there is a second listener")
    }

    async fn end(mut self) {
        self.process.kill().await.unwrap();
    }
}

async fn status(url: &str, path: &str) -> u16 {
    reqwest::get(format!("{url}{path}")).await.unwrap().status().as_u16()
}

/// The status of each path: alive, ready, metrics, API, the description of the API.
async fn statuses(url: &str) -> [u16; 4] {
    let paths = ["/healthz", "/readyz", "/metrics", "/openapi.json"];
    let mut statuses = [0; 4];
    for (found, path) in statuses.iter_mut().zip(paths) {
        *found = status(url, path).await;
    }
    statuses
}

const ANY: (&str, &str) = ("ONBOARD_MANAGEMENT_ADDRESS", "127.0.0.1:0");
const LOCAL: (&str, &str) = ("ONBOARD_ENVIRONMENT", "local");

#[tokio::test]
async fn in_production_health_and_metrics_are_on_the_second_listener_alone() {
    for Entry { name, management_port, .. } in &SERVICES {
        let has_api = management_port.is_some();
        // Where nothing is said, beside the first one: on this machine alone.
        let env: &[_] = if has_api { &[] } else { &[ANY] };
        let service = Listening::start(name, env).await;
        assert!(service.second().starts_with("http://127.0.0.1:"), "{name}: {}", service.second());
        let alone = statuses(service.second()).await;
        assert_eq!(alone, [200, 503, 200, 404], "{name}: the second has no API");
        let first = if has_api { [200, 404, 404, 200] } else { [200, 503, 200, 404] };
        assert_eq!(statuses(&service.http).await, first, "{name}");
        service.end().await;
    }
}

#[tokio::test]
async fn locally_the_ports_keep_their_paths_and_a_second_listener_is_asked_for() {
    for name in ["auth", "todo"] {
        let plain = Listening::start(name, &[LOCAL]).await;
        assert_eq!(plain.management, None, "{name}");
        assert_eq!(statuses(&plain.http).await, [200, 503, 200, 200], "{name}");
        plain.end().await;
        let both = Listening::start(name, &[LOCAL, ANY]).await;
        assert_eq!(statuses(&both.http).await, [200, 503, 200, 200], "{name}");
        assert_eq!(statuses(both.second()).await, [200, 503, 200, 404], "{name}");
        both.end().await;
    }
}

/// Every place of the public listener is taken, and the platform still hears that the
/// process lives.
#[tokio::test]
async fn a_flood_of_the_api_leaves_the_probes_an_answer() {
    let service = Listening::start("auth", &[ANY, ("CONNECTIONS_MAX", "3")]).await;
    let address = service.http.trim_start_matches("http://");
    let mut held = Vec::new();
    for _ in 0..50 {
        held.push(TcpStream::connect(address).await.unwrap());
    }
    let client = Client::builder().timeout(Duration::from_secs(2)).build().unwrap();
    let full = client.get(format!("{}/healthz", service.http)).send().await;
    assert!(full.unwrap_err().is_timeout(), "the public listener is full");
    for _ in 0..20 {
        assert_eq!(status(service.second(), "/healthz").await, 200);
    }
    service.end().await;
}

#[tokio::test]
async fn an_address_that_cannot_be_had_is_named_with_its_setting() {
    let lease = Lease::any().unwrap();
    let address = format!("127.0.0.1:{}", lease.port());
    let _taken = tokio::net::TcpListener::bind(&address).await.unwrap();
    let setting = ("ONBOARD_MANAGEMENT_ADDRESS", address.as_str());
    let ended = command("auth", &[setting]).output().await.unwrap();
    assert_eq!(ended.status.code(), Some(1), "{}", text(&ended));
    let said = format!("cannot listen on {address} for health and metrics");
    assert!(text(&ended).contains(&said), "{}", text(&ended));
    assert!(text(&ended).contains("ONBOARD_MANAGEMENT_ADDRESS"), "{}", text(&ended));

    let port = find("auth").unwrap().port;
    let same = format!("0.0.0.0:{port}");
    let both =
        [("ONBOARD_HTTP_ADDRESS", same.as_str()), ("ONBOARD_MANAGEMENT_ADDRESS", same.as_str())];
    let ended = command("auth", &both).output().await.unwrap();
    assert_eq!(ended.status.code(), Some(64), "{}", text(&ended));
}
