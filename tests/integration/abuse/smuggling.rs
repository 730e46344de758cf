//! Requests over a raw connection, written as no client writes them.
//!
//! Each hides a second request. Whatever happens to the first, the second is
//! never answered: no party before us can have counted otherwise.

use std::time::Duration;

use mongodb::bson::doc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{App, Options};

/// Longer than the server waits for anything.
const LATEST: Duration = Duration::from_secs(25);
/// The request that is hidden in the others.
const HIDDEN: &str = "GET /problems/internal HTTP/1.1\r\nhost: hidden\r\n\r\n";

/// Sends the bytes, and returns what comes until the connection is closed.
async fn send(app: &App, bytes: &[u8]) -> String {
    let address = app.url("auth").replace("http://", "");
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may close before it has all of it.
    stream.write_all(bytes).await.ok();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(LATEST, async {
        let mut part = [0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut part).await {
            answer.extend_from_slice(&part[..n]);
        }
    });
    assert!(read.await.is_ok(), "open after {LATEST:?}: {}", String::from_utf8_lossy(bytes));
    String::from_utf8_lossy(&answer).into_owned()
}

fn answers(answer: &str) -> usize {
    answer.matches("HTTP/1.").count()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

/// Malformed requests: refused with a 400 or by closing, and that is the end.
#[tokio::test]
async fn a_malformed_request_is_refused_and_what_it_hides_is_not_answered() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let post = "POST /api/v1/auth/register HTTP/1.1\r\nhost: x\r\n\
                content-type: application/json\r\n";
    let get = "GET /healthz HTTP/1.1\r\n";
    let table = [
        ("two lengths", format!("{post}content-length: 2\r\ncontent-length: 50\r\n\r\n{{}}")),
        ("two lengths in one line", format!("{post}content-length: 2, 50\r\n\r\n{{}}")),
        ("a signed length", format!("{post}content-length: +2\r\n\r\n{{}}")),
        ("a negative length", format!("{post}content-length: -2\r\n\r\n{{}}")),
        ("a hexadecimal length", format!("{post}content-length: 0x2\r\n\r\n{{}}")),
        ("an overlong length", format!("{post}content-length: 99999999999999999999\r\n\r\n{{}}")),
        ("a folded header", format!("{get}host: x\r\nx-a: 1\r\n folded\r\n\r\n")),
        ("a folded length", format!("{post}content-length:\r\n 2\r\n\r\n{{}}")),
        ("a space before the colon", format!("{post}content-length : 2\r\n\r\n{{}}")),
        ("a space before the first header", format!("{get} host: x\r\n\r\n")),
        ("a bare CR", format!("{get}host: x\r\nx-a: 1\rcontent-length: 5\r\n\r\n")),
        ("a NUL in a value", format!("{get}host: x\r\nx-a: 1\02\r\n\r\n")),
        ("a name with a slash", format!("{get}host: x\r\nx/a: 1\r\n\r\n")),
        ("no host", format!("{get}\r\n")),
        ("two hosts", format!("{get}host: x\r\nhost: y\r\n\r\n")),
        ("an unknown coding", format!("{post}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n")),
        ("identity", format!("{post}transfer-encoding: identity\r\n\r\n{{}}")),
        (
            "chunked and then gzip",
            format!("{post}transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
        ),
        (
            "chunked in HTTP/1.0",
            format!("{post}transfer-encoding: chunked\r\n\r\n0\r\n\r\n").replace("1.1", "1.0"),
        ),
        ("no version", "GET /healthz\r\n\r\n".to_owned()),
        ("another version", "GET /healthz HTTP/1.2\r\nhost: x\r\n\r\n".to_owned()),
        ("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        ("a space in the target", "GET /health z HTTP/1.1\r\nhost: x\r\n\r\n".to_owned()),
        ("a method with a brace", "G{T /healthz HTTP/1.1\r\nhost: x\r\n\r\n".to_owned()),
    ];
    for (what, first) in table {
        let answer = send(&app, format!("{first}{HIDDEN}").as_bytes()).await;
        assert!(["400", "none"].contains(&status(&answer)), "{what}: {answer}");
        assert!(answers(&answer) <= 1, "{what}: {answer}");
        assert!(!answer.contains("/problems/internal"), "{what}: {answer}");
    }
    assert_eq!(app.users().await.count_documents(doc! {}).await.unwrap(), 0);
    app.remove().await;
}

/// Malformed bodies: the head is good, so there may be an answer; one.
#[tokio::test]
async fn a_malformed_body_ends_the_connection() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let post = "POST /api/v1/auth/register HTTP/1.1\r\nhost: x\r\n\
                content-type: application/json\r\n";
    let table = [
        (
            "a size that is no number",
            format!("{post}transfer-encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n"),
        ),
        (
            "a negative size",
            format!("{post}transfer-encoding: chunked\r\n\r\n-2\r\n{{}}\r\n0\r\n\r\n"),
        ),
        (
            "a size in two words",
            format!("{post}transfer-encoding: chunked\r\n\r\n2 2\r\n{{}}\r\n0\r\n\r\n"),
        ),
        (
            "an overlong size",
            format!("{post}transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n{{}}\r\n"),
        ),
        (
            "a chunk longer than its size",
            format!("{post}transfer-encoding: chunked\r\n\r\n1\r\n{{}}\r\n0\r\n\r\n"),
        ),
        (
            "a length and chunks",
            format!(
                "{post}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
            ),
        ),
        (
            "chunks and a length",
            format!(
                "{post}transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
            ),
        ),
        (
            "gzip and then chunked",
            format!("{post}transfer-encoding: gzip, chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"),
        ),
        (
            "chunked twice",
            format!(
                "{post}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
        ),
    ];
    for (what, first) in table {
        let answer = send(&app, format!("{first}{HIDDEN}").as_bytes()).await;
        assert!(["400", "422", "none"].contains(&status(&answer)), "{what}: {answer}");
        assert!(answers(&answer) <= 1, "{what}: {answer}");
        assert!(!answer.contains("/problems/internal"), "{what}: {answer}");
    }
    assert_eq!(app.users().await.count_documents(doc! {}).await.unwrap(), 0);
    app.remove().await;
}

/// Odd, but as RFC 9112 has it: each is one request, and answered as one.
#[tokio::test]
async fn odd_forms_are_one_request_each() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let end = "host: x\r\nconnection: close\r\n\r\n";
    let table = [
        ("absolute form", format!("GET http://other.example/healthz HTTP/1.1\r\n{end}"), "200"),
        ("HTTP/1.0", "GET /healthz HTTP/1.0\r\n\r\n".to_owned(), "200"),
        ("CONNECT", format!("CONNECT evil.example:443 HTTP/1.1\r\n{end}"), "404"),
        ("asterisk form", format!("OPTIONS * HTTP/1.1\r\n{end}"), "404"),
        ("TRACE", format!("TRACE /healthz HTTP/1.1\r\n{end}"), "405"),
        ("an unknown method", format!("BREW /healthz HTTP/1.1\r\n{end}"), "405"),
        ("dots", format!("GET /api/../healthz HTTP/1.1\r\n{end}"), "404"),
        ("encoded dots", format!("GET /api/%2e%2e/healthz HTTP/1.1\r\n{end}"), "404"),
        ("a double slash", format!("GET //healthz HTTP/1.1\r\n{end}"), "404"),
        // A single LF ends a line (RFC 9112, section 2.2).
        ("bare LF", format!("GET /healthz HTTP/1.1\r\n{end}").replace('\r', ""), "200"),
        ("an upgrade", format!("GET /healthz HTTP/1.1\r\nupgrade: h2c\r\n{end}"), "200"),
    ];
    for (what, request, expected) in table {
        let answer = send(&app, request.as_bytes()).await;
        assert_eq!(status(&answer), expected, "{what}: {answer}");
        assert_eq!(answers(&answer), 1, "{what}: {answer}");
    }
    app.remove().await;
}

#[tokio::test]
async fn heads_and_bodies_that_are_too_large_are_refused() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let lines = |n| "x-y: z\r\n".repeat(n);
    let long = |n| format!("x-long: {}\r\n", "y".repeat(n));
    let get = |more: String| {
        format!("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{more}\r\n")
    };
    let post = |more: &str| {
        format!(
            "POST /api/v1/auth/register HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-type: application/json\r\n{more}"
        )
    };
    let big = format!("{{\"email\":\"{}\"}}", "x".repeat(20_000));
    let table = [
        ("many lines", get(lines(62)), "200"),
        ("too many lines", get(lines(65)), "431"),
        ("a long line", get(long(8_000)), "200"),
        ("too long a line", get(long(20_000)), "431"),
        (
            "too long a target",
            format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "y".repeat(20_000)),
            "431",
        ),
        ("too large a body", post(&format!("content-length: {}\r\n\r\n{big}", big.len())), "413"),
        ("a length that says so", post("content-length: 1000000000\r\n\r\n"), "413"),
        (
            "too large in chunks",
            post(&format!(
                "transfer-encoding: chunked\r\n\r\n{:x}\r\n{big}\r\n0\r\n\r\n",
                big.len()
            )),
            "413",
        ),
    ];
    for (what, request, expected) in table {
        let answer = send(&app, request.as_bytes()).await;
        assert_eq!(status(&answer), expected, "{what}: {answer}");
        assert_eq!(answers(&answer), 1, "{what}: {answer}");
    }
    app.remove().await;
}
