use std::time::Instant;

use axum::http::{StatusCode, header};
use axum::routing::{get, post};
use onboard_runtime::Check;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::*;
use crate::JsonObject;

struct Running {
    url: String,
    address: SocketAddr,
    shutdown: Shutdown,
    end: JoinHandle<Result<Drain, ServerError>>,
    client: reqwest::Client,
}

impl Running {
    async fn start(readiness: Readiness) -> Self {
        Self::start_with(readiness, Edge::default()).await
    }

    async fn start_with(readiness: Readiness, edge: Edge) -> Self {
        let router = Router::new()
            .route("/slow", get(async || tokio::time::sleep(Duration::from_millis(300)).await))
            .route("/panic", get(panics))
            .route("/echo/{id}", post(async |JsonObject(body): JsonObject<64>| axum::Json(body)));
        let any = "127.0.0.1:0".parse().unwrap();
        let server = Server::bind(any, router, readiness).await.unwrap().with_edge(edge);
        let (address, shutdown) = (server.local_addr(), Shutdown::new());
        #[expect(clippy::disallowed_methods, reason = "the test awaits it")]
        let end = tokio::spawn(server.serve(shutdown.clone()));
        let client = reqwest::Client::new();
        Self { url: format!("http://{address}"), address, shutdown, end, client }
    }

    async fn send(&self, method: &str, path: &str) -> reqwest::Response {
        let method = method.parse().unwrap();
        self.client.request(method, format!("{}{path}", self.url)).send().await.unwrap()
    }

    async fn stop(self) -> Drain {
        self.shutdown.begin();
        self.end.await.unwrap().unwrap()
    }
}

async fn panics() -> StatusCode {
    panic!("the secret reason")
}

async fn problem(response: reqwest::Response) -> Value {
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["status"], status);
    body
}

#[tokio::test]
async fn errors_are_problems_that_name_the_request() {
    let server = Running::start(Readiness::default()).await;
    let missing = problem(server.send("GET", "/no/where?token=x").await).await;
    assert_eq!(missing["type"], "/problems/not-found");
    assert_eq!(missing["instance"], "/no/where");
    let panicked = problem(server.send("GET", "/panic").await).await;
    assert_eq!(panicked["type"], "/problems/internal");
    assert!(!panicked.to_string().contains("secret"), "{panicked}");
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = server.client.post(format!("{}/echo/1", server.url)).header("traceparent", trace);
    let request = request.header("content-type", "application/json");
    let malformed = request.send().await.unwrap();
    let told = malformed.headers()["traceresponse"].to_str().unwrap().to_owned();
    let malformed = problem(malformed).await;
    assert_eq!(malformed["traceId"], told[3..35], "the answer names the trace");
    assert_ne!(malformed["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736", "which is ours");
    assert_eq!(malformed["type"], "/problems/malformed-json");
    let documented = server.send("GET", "/problems/malformed-json").await;
    assert_eq!(documented.json::<Value>().await.unwrap()["title"], "The body is not JSON");
    assert_eq!(server.stop().await, Drain::Graceful);
}

#[tokio::test]
async fn other_methods_are_answered_with_what_is_allowed() {
    let server = Running::start(Readiness::default()).await;
    let refused = server.send("DELETE", "/echo/1").await;
    assert_eq!(refused.headers()[header::ALLOW], "POST");
    assert_eq!(problem(refused).await["type"], "/problems/method-not-allowed");
    let options = server.send("OPTIONS", "/echo/1").await;
    assert_eq!(options.status(), StatusCode::NO_CONTENT);
    assert_eq!(options.headers()[header::ALLOW], "POST");
    assert_eq!(problem(server.send("OPTIONS", "/no").await).await["status"], 404);
    let head = server.send("HEAD", "/healthz").await;
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.text().await.unwrap(), "");
    let head = server.send("HEAD", "/echo/1").await;
    assert_eq!(head.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(head.text().await.unwrap(), "");
    assert_eq!(server.stop().await, Drain::Graceful);
}

#[tokio::test]
async fn readiness_names_what_is_down_and_liveness_does_not_care() {
    let checks = vec![
        Check::new("mongo", || async { Ok(()) }),
        Check::new("rabbitmq", || async { Err("connection refused".to_owned()) }),
    ];
    let server = Running::start(Readiness::new(checks)).await;
    let ready = server.send("GET", "/readyz").await;
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    let checks = json!({"mongo": "ok", "rabbitmq": "connection refused"});
    let expected = json!({"status": "unavailable", "checks": checks});
    assert_eq!(ready.json::<Value>().await.unwrap(), expected);
    assert_eq!(server.send("GET", "/healthz").await.status(), StatusCode::OK);
    for (query, status) in [
        ("?exclude=mongo", 503),
        ("?exclude=rabbit", 503),
        ("?include=rabbitmq", 503),
        ("?exclude=mongo&exclude=rabbitmq", 200),
    ] {
        let answer = server.send("GET", &format!("/readyz{query}")).await;
        assert_eq!(answer.status(), status, "{query}");
        let shown = answer.json::<Value>().await.unwrap();
        assert_eq!(shown["checks"]["rabbitmq"], "connection refused", "{query}");
    }
    server.stop().await;

    let server = Running::start(Readiness::default()).await;
    let ready = server.send("GET", "/readyz").await;
    assert_eq!(ready.json::<Value>().await.unwrap(), json!({"status": "ready", "checks": {}}));
    server.stop().await;
}

#[tokio::test]
async fn requests_are_counted_by_route_not_by_path() {
    let server = Running::start(Readiness::default()).await;
    server.send("POST", "/echo/private-name").await;
    server.send("BREW", "/tea").await;
    let text = server.send("GET", "/metrics").await.text().await.unwrap();
    let echo = r#"http_requests_total{method="POST",path="/echo/{id}",status="415"}"#;
    let tea = r#"http_requests_total{method="OTHER",path="unmatched",status="404"}"#;
    assert!(text.contains(echo) && text.contains(tea), "{text}");
    assert!(!text.contains("private-name"), "{text}");
    server.stop().await;
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let server = Running::start(Readiness::default()).await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /echo/1 HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                transfer-encoding: chunked\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(format!("50\r\n{}\r\n", " ".repeat(80)).as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn a_request_in_flight_is_answered_before_the_end() {
    let server = Running::start(Readiness::default()).await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    // Idle, as a browser leaves it; it must not hold the server up.
    let _idle = TcpStream::connect(server.address).await.unwrap();
    // Both are accepted in order, so an answer here means both are taken.
    server.send("GET", "/healthz").await;
    let (address, started) = (server.address, Instant::now());
    assert_eq!(server.stop().await, Drain::Graceful);
    assert!(started.elapsed() < DRAIN_MAX / 2);
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(TcpStream::connect(address).await.is_err(), "nothing listens any more");
}

#[tokio::test]
async fn while_it_leaves_it_answers_is_not_ready_and_keeps_no_connection() {
    let mut leaving = Edge::default();
    leaving.shutdown_delay = Duration::from_secs(2);
    let server = Running::start_with(Readiness::default(), leaving).await;
    let before = server.send("GET", "/readyz").await;
    assert_eq!(before.status(), StatusCode::OK);
    assert!(!before.headers().contains_key(header::CONNECTION));
    server.shutdown.begin();
    for (path, status, body) in [("/readyz", 503, "stopping"), ("/healthz", 200, "ok")] {
        let answer = server.send("GET", path).await;
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.headers()[header::CONNECTION], "close", "{path}");
        assert_eq!(answer.json::<Value>().await.unwrap()["status"], body, "{path}");
    }
    let (address, begun) = (server.address, Instant::now());
    assert_eq!(server.stop().await, Drain::Graceful);
    assert!(begun.elapsed() < DRAIN_MAX / 2, "the delay ends");
    assert!(TcpStream::connect(address).await.is_err(), "nothing listens any more");
}

#[tokio::test]
async fn a_taken_address_is_an_error_that_names_it() {
    let server = Running::start(Readiness::default()).await;
    let error =
        Server::bind(server.address, Router::new(), Readiness::default()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {}", server.address));
    server.stop().await;
}
