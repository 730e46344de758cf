//! SIGTERM: each service ends by itself, with exit code 0 and in its time, and
//! what it was told or was working on is not lost.

mod process;

use std::time::Duration;

use onboard::services::{find, names};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use self::process::Process;
use crate::harness::{App, Load, Options, PASSWORD, eventually};

/// Registrations that a service has under its hands when it is told to stop.
const UNDER_WAY: u64 = 5;
/// `SHUTDOWN_DELAY`, as the manifests have it.
const DELAY: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_relay_told_to_stop_under_load_ends_in_its_time_and_loses_nothing() {
    stops_under_load("relay").await;
}

#[tokio::test]
async fn a_worker_told_to_stop_under_load_ends_in_its_time_and_loses_nothing() {
    stops_under_load("worker").await;
}

#[tokio::test]
async fn a_todo_service_told_to_stop_under_load_ends_in_its_time_and_loses_nothing() {
    stops_under_load("todo").await;
}

async fn stops_under_load(service: &'static str) {
    let others: Vec<&'static str> = names().into_iter().filter(|name| *name != service).collect();
    let app = App::start_with(Options::only(&others)).await;
    let process = Process::start(&app, service, &[]).await;
    let load = Load::during(&app, &["auth"], Duration::from_millis(150), async {
        eventually("registrations go through it", async || match app.sent().await {
            sent if sent >= UNDER_WAY => Ok(()),
            sent => Err(sent),
        })
        .await;
        let (took, said) = process.stop(stop_max(service)).await;
        assert!(!said.contains("still"), "{service} cut something off after {took:?}: {said}");
        app.component(service).start().await.unwrap();
    })
    .await;
    assert_eq!((load.refused, load.unanswered), (0, 0), "auth does not notice");
    app.all_are_there(&load).await;
    app.finish().await;
}

/// The balancer asks `/readyz`, then sends ten requests, then asks again. So it
/// learns late that the service leaves, as balancers do.
#[tokio::test]
async fn an_auth_that_leaves_a_balancer_fails_no_request() {
    let app = App::start().await;
    let process = Process::start(&app, "auth", &[("SHUTDOWN_DELAY", "10s")]).await;
    let url = process.url().to_owned();
    for _ in 0..3 {
        assert!(is_ready(&app, &url).await);
        ten_succeed(&app, &url).await;
    }
    assert!(is_ready(&app, &url).await);
    let (sent, is_sent) = oneshot::channel();
    let stopping = tokio::spawn(process.stop_and_say(DELAY + stop_max("auth"), sent));
    is_sent.await.unwrap();
    ten_succeed(&app, &url).await;
    let leaves = eventually("it says that it leaves", async || match app.at_readyz(&url).await {
        Ok((503, body)) => Ok(body),
        other => Err(other),
    });
    assert!(leaves.await.contains("stopping"));
    let (took, _) = stopping.await.unwrap();
    assert!(took >= DELAY, "{took:?}");
    assert!(register(&app, &url).await.is_err(), "nobody listens any more");
    app.finish().await;
}

/// How long a stop of this service may take.
fn stop_max(service: &str) -> Duration {
    find(service).unwrap().stop_max
}

async fn is_ready(app: &App, url: &str) -> bool {
    matches!(app.at_readyz(url).await, Ok((200, _)))
}

async fn ten_succeed(app: &App, url: &str) {
    for _ in 0..10 {
        assert_eq!(register(app, url).await.unwrap().status(), 201);
    }
}

impl App {
    /// What is said at this address: status and body.
    async fn at_readyz(&self, url: &str) -> Result<(u16, String), String> {
        let answer = self.http.get(format!("{url}/readyz")).send().await;
        let answer = answer.map_err(|error| error.to_string())?;
        Ok((answer.status().as_u16(), answer.text().await.unwrap_or_default()))
    }
}

async fn register(app: &App, url: &str) -> reqwest::Result<reqwest::Response> {
    let body = json!({ "email": app.address(), "password": PASSWORD });
    app.http.post(format!("{url}/api/v1/auth/register")).json(&body).send().await
}

#[tokio::test]
async fn a_request_in_flight_is_answered_and_an_idle_connection_closed() {
    let app = App::start_with(Options::only(&["relay", "worker", "todo"])).await;
    let process = Process::start(&app, "auth", &[]).await;
    let mut idle = TcpStream::connect(process.address()).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut byte = [0];
    idle.read_exact(&mut byte).await.unwrap();

    let body = json!({ "email": app.address(), "password": PASSWORD }).to_string();
    let head = format!(
        "POST /api/v1/auth/register HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let address = process.address().to_owned();
    let mut busy = TcpStream::connect(&address).await.unwrap();
    busy.write_all(head.as_bytes()).await.unwrap();
    // The handler asks for the body: the request is in flight.
    let mut go_on = [0; 25];
    busy.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");

    let stopping = tokio::spawn(process.stop(stop_max("auth")));
    let mut rest = String::new();
    idle.read_to_string(&mut rest).await.unwrap();
    assert!(rest.starts_with("TTP/1.1 200"), "its answer, and then the end: {rest}");
    eventually("nobody listens any more", async || {
        if TcpStream::connect(&address).await.is_err() { Ok(()) } else { Err("connects") }
    })
    .await;
    busy.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    busy.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    stopping.await.unwrap();
    app.finish().await;
}
