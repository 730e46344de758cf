//! `onboard probe <url>`: whether a service answers with a success. The
//! container image holds no other HTTP client; its health checks run this.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use onboard_runtime::exit;

/// Longer than a service takes to find that a server hangs (2 s).
const TIMEOUT: Duration = Duration::from_secs(4);

/// Arguments of `onboard probe`.
#[derive(Debug, clap::Args)]
pub(crate) struct ProbeArgs {
    /// `http://host:port/path`.
    url: String,
}

/// Done when the answer is a 2xx; otherwise says what it is.
pub(crate) fn run(args: &ProbeArgs) -> anyhow::Result<ExitCode> {
    let status = status(&args.url).with_context(|| format!("no answer from {}", args.url))?;
    if (200..300).contains(&status) {
        return Ok(ExitCode::from(exit::DONE));
    }
    writeln!(std::io::stderr().lock(), "{} answers {status}", args.url).ok();
    Ok(ExitCode::from(exit::NO))
}

fn status(url: &str) -> anyhow::Result<u16> {
    let rest = url.strip_prefix("http://").context("the URL must begin with http://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = host.to_socket_addrs()?.next().context("the host has no address")?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut head = [0_u8; 12];
    stream.read_exact(&mut head)?;
    parse_status(&head).context("that is not HTTP")
}

fn parse_status(head: &[u8; 12]) -> Option<u16> {
    let line = std::str::from_utf8(head).ok()?;
    line.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answering(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/readyz", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // To its end: a socket closed with unread bytes resets the other side.
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0_u8];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            assert!(request.starts_with(b"GET /readyz HTTP"), "{request:?}");
            stream.write_all(answer.as_bytes()).unwrap();
        });
        url
    }

    #[test]
    fn the_status_of_the_answer_is_told() {
        assert_eq!(status(&answering("HTTP/1.1 200 OK\r\n\r\n")).unwrap(), 200);
        assert_eq!(status(&answering("HTTP/1.1 503 Service Unavailable\r\n\r\n")).unwrap(), 503);
    }

    #[test]
    fn what_is_not_http_is_no_answer() {
        assert!(status(&answering("AMQP\0\0\x09\x01 and more")).is_err());
        assert!(status("127.0.0.1:1").is_err());
    }
}
