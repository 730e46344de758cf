use std::sync::Arc;

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Notify;

use super::*;

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

struct Open {
    listener: TcpListener,
    connections: Connections,
    shutdown: Shutdown,
}

impl Open {
    async fn with(router: Router, edge: &Edge) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shutdown = Shutdown::new();
        let connections = Connections::new(router, shutdown.clone(), edge);
        Self { listener, connections, shutdown }
    }

    /// Connects from a loopback address and hands the connection over.
    async fn connect(&mut self, from: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        let client = socket.connect(self.listener.local_addr().unwrap()).await.unwrap();
        self.connections.take(self.listener.accept().await).await.unwrap();
        client
    }
}

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

fn edge(change: impl FnOnce(&mut Edge)) -> Edge {
    let mut edge = Edge::default();
    change(&mut edge);
    edge
}

async fn is_served(client: &mut TcpStream) -> bool {
    if client.write_all(GET).await.is_err() {
        return false;
    }
    let mut answer = [0; 15];
    client.read_exact(&mut answer).await.is_ok_and(|_| &answer == b"HTTP/1.1 200 OK")
}

#[tokio::test]
async fn a_request_that_never_ends_is_cut_off() {
    let reached = Arc::new(Notify::new());
    let handler = {
        let reached = reached.clone();
        async move || {
            reached.notify_one();
            std::future::pending::<()>().await;
        }
    };
    let router = Router::new().route("/", get(handler));
    let mut open = Open::with(router, &Edge::default()).await;
    let mut client = open.connect("127.0.0.1").await;
    client.write_all(GET).await.unwrap();
    reached.notified().await;
    open.shutdown.begin();
    assert_eq!(open.connections.drain(Duration::from_millis(20)).await, Drain::Forced);
}

#[tokio::test]
async fn one_address_cannot_take_every_place() {
    let two = edge(|edge| edge.bounds.per_address = 2);
    let mut open = Open::with(hello(), &two).await;
    let mut first = open.connect("127.0.0.1").await;
    let mut second = open.connect("127.0.0.1").await;
    let mut third = open.connect("127.0.0.1").await;
    assert!(!is_served(&mut third).await, "one too many");
    assert!(is_served(&mut first).await && is_served(&mut second).await);
    let mut other = open.connect("127.0.0.2").await;
    assert!(is_served(&mut other).await, "another address has places of its own");
    drop(first);
    open.connections.one_ended().await;
    let mut again = open.connect("127.0.0.1").await;
    assert!(is_served(&mut again).await, "the place was given back");
}

#[tokio::test]
async fn proxies_and_exempt_networks_take_what_they_need() {
    let one = edge(|edge| {
        edge.bounds.per_address = 1;
        edge.proxies = "127.0.0.2".parse().unwrap();
        edge.exempt = "127.0.0.3".parse().unwrap();
    });
    let mut open = Open::with(hello(), &one).await;
    for (from, served) in [("127.0.0.1", false), ("127.0.0.2", true), ("127.0.0.3", true)] {
        let _first = open.connect(from).await;
        let mut second = open.connect(from).await;
        assert_eq!(is_served(&mut second).await, served, "{from}");
    }
}

#[tokio::test]
async fn beyond_the_bound_in_all_nothing_is_taken() {
    let one = edge(|edge| edge.bounds.in_all = 1);
    let mut open = Open::with(hello(), &one).await;
    assert!(open.connections.has_room());
    let client = open.connect("127.0.0.1").await;
    assert!(!open.connections.has_room());
    drop(client);
    open.connections.one_ended().await;
    assert!(open.connections.has_room());
}

#[tokio::test]
async fn a_head_that_does_not_end_and_an_idle_connection_are_closed() {
    let quick = edge(|edge| edge.bounds.head = Duration::from_millis(50));
    let mut open = Open::with(hello(), &quick).await;
    let mut silent = open.connect("127.0.0.1").await;
    let mut half = open.connect("127.0.0.1").await;
    half.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
    let mut idle = open.connect("127.0.0.1").await;
    assert!(is_served(&mut idle).await);
    for _ in 0..3 {
        open.connections.one_ended().await;
    }
    for client in [&mut silent, &mut half, &mut idle] {
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
    }
}

#[tokio::test]
async fn a_proxy_of_ours_may_stay_idle_for_longer() {
    let quick = edge(|edge| {
        edge.bounds.head = Duration::from_millis(50);
        edge.proxies = "127.0.0.2".parse().unwrap();
    });
    let mut open = Open::with(hello(), &quick).await;
    let mut proxy = open.connect("127.0.0.2").await;
    let _client = open.connect("127.0.0.1").await;
    open.connections.one_ended().await;
    assert_eq!(open.connections.open(), 1, "the proxy's is left");
    assert!(is_served(&mut proxy).await);
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_given_up() {
    let quick = edge(|edge| edge.bounds.answer = Duration::from_millis(50));
    let router = Router::new().route("/", get(async || vec![0_u8; 64 << 20]));
    let mut open = Open::with(router, &quick).await;
    let mut client = open.connect("127.0.0.1").await;
    client.write_all(GET).await.unwrap();
    open.connections.one_ended().await;
    assert_eq!(open.connections.open(), 0);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_answered_with_431() {
    let mut open = Open::with(hello(), &Edge::default()).await;
    let many = "a: b\r\n".repeat(70);
    let large = format!("a: {}\r\n", "b".repeat(20_000));
    for lines in [many, large] {
        let mut client = open.connect("127.0.0.1").await;
        let head = format!("GET / HTTP/1.1\r\nhost: x\r\n{lines}\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 431");
    }
}
