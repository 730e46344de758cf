//! The smallest HTTP/1.1 GET that answers "which status".

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::probe::Miss;

/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// The status of `GET path` on this machine.
pub(crate) async fn status(port: u16, path: &str) -> Result<u16, Miss> {
    let mut stream = asked(port, path).await?;
    let mut head = [0_u8; 12];
    stream.read_exact(&mut head).await.map_err(|_| Miss::silent(port))?;
    parse_status(&head).ok_or_else(|| Miss::silent(port))
}

/// The whole answer to `GET path` on this machine, its head included.
pub(crate) async fn answer(port: u16, path: &str) -> Result<String, Miss> {
    let mut answer = Vec::new();
    let stream = asked(port, path).await?;
    let read = stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await;
    read.map_err(|_| Miss::silent(port))?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

async fn asked(port: u16, path: &str) -> Result<TcpStream, Miss> {
    let mut stream =
        TcpStream::connect(("127.0.0.1", port)).await.map_err(|_| Miss::closed(port))?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(|_| Miss::silent(port))?;
    Ok(stream)
}

fn parse_status(head: &[u8; 12]) -> Option<u16> {
    std::str::from_utf8(head).ok()?.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parse_status;

    #[test]
    fn the_status_is_read_from_the_first_line() {
        assert_eq!(parse_status(b"HTTP/1.1 401"), Some(401));
        assert_eq!(parse_status(b"HTTP/1.0 200"), Some(200));
        assert_eq!(parse_status(b"HTTP/2.0 200"), None);
        assert_eq!(parse_status(b"SSH-2.0-Open"), None);
    }
}
