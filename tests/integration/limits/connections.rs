//! Slow clients and many of them: what they hold, and for how long.

use std::time::{Duration, Instant};

use reqwest::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::client_at;
use crate::harness::{App, Options, eventually};

/// Above the limits of the server, on a busy machine.
const LATEST: Duration = Duration::from_secs(50);

async fn connect(app: &App, from: &str) -> TcpStream {
    let port = app.url("auth").rsplit(':').next().unwrap().to_owned();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    socket.connect(format!("127.0.0.1:{port}").parse().unwrap()).await.unwrap()
}

async fn is_alive(app: &App, client: &Client) -> bool {
    let request = client.get(format!("{}/healthz", app.url("auth"))).send();
    let answer = tokio::time::timeout(Duration::from_secs(5), request).await;
    answer.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status() == 200))
}

/// What comes until the server closes the connection, and when it does.
async fn until_closed(mut stream: TcpStream) -> (String, Duration) {
    let (begun, mut answer) = (Instant::now(), Vec::new());
    let read = tokio::time::timeout(LATEST, stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "still open after {LATEST:?}");
    (String::from_utf8_lossy(&answer).into_owned(), begun.elapsed())
}

#[tokio::test]
async fn a_thousand_idle_connections_of_one_address_stop_nobody() {
    let options = Options::only(&["auth"])
        .with("RATE_LIMIT_EXEMPT", "")
        .with("CONNECTIONS_PER_ADDRESS", "50")
        .with("CONNECTIONS_MAX", "100");
    let app = App::start_with(options).await;
    let mut held = Vec::new();
    for _ in 0..3000 {
        held.push(connect(&app, "127.0.0.5").await);
    }
    assert!(is_alive(&app, &client_at("127.0.0.6")).await, "another address is served");
    let refused = eventually("the others were closed", async || {
        let client = client_at("127.0.0.6");
        let url = format!("{}/metrics", app.url("auth"));
        let text = client.get(url).send().await.unwrap().text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("connections_refused_total "));
        match line.map(|count| count.parse::<u32>().unwrap()) {
            Some(count) if count >= 2900 => Ok(count),
            other => Err(other),
        }
    })
    .await;
    assert!(refused <= 2950, "fifty were taken: {refused}");
    drop(held);
    let client = client_at("127.0.0.5");
    eventually("the address has its places back", async || {
        if is_alive(&app, &client).await { Ok(()) } else { Err("refused") }
    })
    .await;
    app.remove().await;
}

#[tokio::test]
async fn beyond_all_connections_a_client_waits_for_a_place() {
    let app = App::start_with(Options::only(&["auth"]).with("CONNECTIONS_MAX", "2")).await;
    let mut held = vec![connect(&app, "127.0.0.1").await, connect(&app, "127.0.0.1").await];
    let begun = Instant::now();
    eventually("idle connections give their places back", async || {
        if is_alive(&app, &client_at("127.0.0.7")).await { Ok(()) } else { Err("waits") }
    })
    .await;
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_secs(5), "{waited:?}");
    held.clear();
    app.remove().await;
}

#[tokio::test]
async fn slow_heads_and_slow_bodies_end_within_their_time() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let mut head = connect(&app, "127.0.0.1").await;
    head.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ").await.unwrap();
    let mut idle = connect(&app, "127.0.0.1").await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut body = connect(&app, "127.0.0.1").await;
    let post = "POST /api/v1/auth/register HTTP/1.1\r\nhost: x\r\n\
                content-type: application/json\r\ncontent-length: 1000\r\n\r\n{\"email\":";
    body.write_all(post.as_bytes()).await.unwrap();
    let trickled = connect(&app, "127.0.0.1").await;
    let (read, mut write) = trickled.into_split();
    write.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let trickle = async {
        // A byte every second keeps nothing open.
        while write.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let trickled = async {
        let (mut read, mut answer) = (read, Vec::new());
        let closed = tokio::time::timeout(LATEST, read.read_to_end(&mut answer)).await;
        assert!(closed.is_ok(), "a trickling head is cut off");
    };
    let ends = async {
        tokio::join!(until_closed(head), until_closed(idle), until_closed(body), trickled)
    };
    let (head, idle, body) = tokio::select! {
        (head, idle, body, ()) = ends => (head, idle, body),
        () = async { trickle.await; std::future::pending().await } => unreachable!(),
    };
    assert_eq!(head.0, "", "no answer to half a head");
    assert!(idle.0.starts_with("HTTP/1.1 200"), "{idle:?}");
    assert!(body.0.starts_with("HTTP/1.1 503"), "{body:?}");
    for (_, after) in [&head, &idle, &body] {
        assert!(*after >= Duration::from_secs(8), "it has its time: {after:?}");
    }
    assert!(is_alive(&app, &app.http).await);
    app.remove().await;
}
