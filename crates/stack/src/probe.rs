//! Readiness checks: each asks the server something only a working one
//! answers. "The port is open" is not enough.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::http;

const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// What to ask a component.
#[derive(Debug, Clone, Copy)]
pub enum Probe {
    /// `hello` to mongod: primary, or not yet part of a replica set (then
    /// `onboard setup` makes it one).
    Mongo {
        /// The wire protocol's port.
        port: u16,
    },
    /// AMQP opens its handshake and the management API asks who we are.
    Rabbitmq {
        /// AMQP's port.
        amqp: u16,
        /// The management API's port.
        management: u16,
    },
    /// The web UI finds the namespace `default` through the gRPC frontend.
    Temporal {
        /// The web UI's port.
        ui: u16,
    },
    /// `GET /readyz` is 200.
    Service {
        /// The service's HTTP port.
        port: u16,
    },
    /// Nothing: it is ready while it runs.
    Running,
    /// The port is open.
    Open {
        /// That port.
        port: u16,
    },
}

/// Why a component is not ready, in words.
#[derive(Debug, Clone)]
pub struct Miss(pub String);

impl Miss {
    pub(crate) fn closed(port: u16) -> Self {
        Self(format!("nothing listens on port {port}"))
    }

    pub(crate) fn silent(port: u16) -> Self {
        Self(format!("no sensible answer on port {port}"))
    }
}

impl Probe {
    /// Asks once, for two seconds at most.
    ///
    /// # Errors
    /// Why it is not ready.
    pub async fn ask(self) -> Result<(), Miss> {
        tokio::time::timeout(ANSWER_WITHIN, self.answer()).await.unwrap_or_else(|_| {
            Err(Miss(format!("no answer within {} s", ANSWER_WITHIN.as_secs())))
        })
    }

    /// The servers that a service says it misses, by the names of `/readyz`; none while
    /// it does not answer.
    pub(crate) async fn missing(self) -> Vec<String> {
        let Self::Service { port } = self else { return Vec::new() };
        let answer = tokio::time::timeout(ANSWER_WITHIN, http::answer(port, "/readyz")).await;
        let Ok(Ok(answer)) = answer else { return Vec::new() };
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        missing(body)
    }

    async fn answer(self) -> Result<(), Miss> {
        match self {
            Self::Mongo { port } => mongo(port).await,
            Self::Rabbitmq { amqp, management } => {
                amqp_handshake(amqp).await?;
                http_status(management, "/api/overview", &[200, 401]).await
            }
            Self::Temporal { ui } => http_status(ui, "/api/v1/namespaces/default", &[200]).await,
            Self::Service { port } => http_status(port, "/readyz", &[200]).await,
            Self::Running => Ok(()),
            Self::Open { port } => connect(port).await.map(drop),
        }
    }
}

async fn http_status(port: u16, path: &str, wanted: &[u16]) -> Result<(), Miss> {
    let status = http::status(port, path).await?;
    if wanted.contains(&status) {
        Ok(())
    } else {
        Err(Miss(format!("GET {path} answers {status}")))
    }
}

async fn connect(port: u16) -> Result<TcpStream, Miss> {
    TcpStream::connect(("127.0.0.1", port)).await.map_err(|_| Miss::closed(port))
}

/// The checks of such a body that are not ok.
fn missing(body: &str) -> Vec<String> {
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let checks = body.get("checks").and_then(serde_json::Value::as_object);
    let checks = checks.into_iter().flatten().filter(|(_, found)| *found != "ok");
    checks.map(|(name, _)| name.clone()).collect()
}

/// AMQP 0-9-1, 4.2.2: the server answers the protocol header with a method
/// frame (type 1), `connection.start`.
async fn amqp_handshake(port: u16) -> Result<(), Miss> {
    let mut stream = connect(port).await?;
    stream.write_all(b"AMQP\x00\x00\x09\x01").await.map_err(|_| Miss::silent(port))?;
    let kind = stream.read_u8().await.map_err(|_| Miss::silent(port))?;
    if kind == 1 { Ok(()) } else { Err(Miss::silent(port)) }
}

/// `OP_MSG` with the document `{hello: 1, $db: "admin"}`.
const HELLO: &[u8] = b"\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00\
    \x00\x00\x00\x00\x00\
    \x1f\x00\x00\x00\x10hello\x00\x01\x00\x00\x00\x02$db\x00\x06\x00\x00\x00admin\x00\x00";
const REPLY_BYTES_MAX: u32 = 1024 * 1024;

async fn mongo(port: u16) -> Result<(), Miss> {
    let mut stream = connect(port).await?;
    stream.write_all(HELLO).await.map_err(|_| Miss::silent(port))?;
    let len = stream.read_u32_le().await.map_err(|_| Miss::silent(port))?;
    if !(16..REPLY_BYTES_MAX).contains(&len) {
        return Err(Miss::silent(port));
    }
    let mut reply = vec![0; len as usize - 4];
    stream.read_exact(&mut reply).await.map_err(|_| Miss::silent(port))?;
    let primary = contains(&reply, b"\x08isWritablePrimary\x00\x01");
    let outside_a_set = contains(&reply, b"\x08isreplicaset\x00\x01");
    if primary || outside_a_set { Ok(()) } else { Err(Miss("no primary elected yet".to_owned())) }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_names_the_servers_that_it_misses() {
        let body = r#"{"status":"unavailable","checks":{"mongo":"ok","rabbitmq":"refused"}}"#;
        assert_eq!(missing(body), ["rabbitmq"]);
        assert!(missing("").is_empty());
    }

    #[test]
    fn the_hello_message_says_its_own_length() {
        assert_eq!(HELLO.len(), 0x34);
        assert_eq!(HELLO.len() - 16 - 5, 0x1f);
    }
}
