//! RabbitMQ's management API: to break what only the broker itself can break,
//! and to look into its queues.

use std::time::Duration;

use anyhow::{Context as _, bail};
use onboard_events::user_registered::{DEAD_LETTER_QUEUE, EXCHANGE, QUEUE, ROUTING_KEY};
use reqwest::{Client, Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// A client of the local stack's broker, guest/guest.
#[derive(Debug)]
pub(crate) struct Management {
    client: Client,
    url: String,
}

/// Messages in a queue, those under way to a consumer included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Depths {
    pub(crate) queue: u64,
    pub(crate) dead_letters: u64,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Queue {
    name: String,
    #[serde(default)]
    messages: u64,
}

impl Management {
    pub(crate) fn new(url: String) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(ANSWER_WITHIN).no_proxy().build()?;
        Ok(Self { client, url })
    }

    /// Closes every connection; an error when there is none.
    pub(crate) async fn close_connections(&self) -> anyhow::Result<()> {
        let open: Vec<Named> = self.ask(Method::GET, "connections", None).await?.json().await?;
        if open.is_empty() {
            bail!("there is no connection");
        }
        for Named { name } in open {
            // One that has gone by itself is closed as well.
            let path = format!("connections/{}", encode(&name));
            self.ask(Method::DELETE, &path, None).await.ok();
        }
        Ok(())
    }

    /// Takes the queue's binding away.
    pub(crate) async fn unbind(&self) -> anyhow::Result<()> {
        let path = format!("bindings/%2F/e/{EXCHANGE}/q/{QUEUE}/{ROUTING_KEY}");
        match self.ask(Method::DELETE, &path, None).await {
            // An earlier request has done it, and its answer was lost.
            Err(error) if is_not_found(&error) => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Gives it back.
    pub(crate) async fn bind(&self) -> anyhow::Result<()> {
        let path = format!("bindings/%2F/e/{EXCHANGE}/q/{QUEUE}");
        let binding = json!({ "routing_key": ROUTING_KEY, "arguments": {} });
        self.ask(Method::POST, &path, Some(binding)).await.map(drop)
    }

    /// How much waits. The figures are up to 5 s old.
    pub(crate) async fn depths(&self) -> anyhow::Result<Depths> {
        let queues: Vec<Queue> = self.ask(Method::GET, "queues/%2F", None).await?.json().await?;
        let of = |name| {
            let found = queues.iter().find(|queue| queue.name == name);
            found.map(|queue| queue.messages).with_context(|| format!("there is no queue {name}"))
        };
        Ok(Depths { queue: of(QUEUE)?, dead_letters: of(DEAD_LETTER_QUEUE)? })
    }

    /// RabbitMQ's version.
    pub(crate) async fn version(&self) -> anyhow::Result<String> {
        let overview: Value = self.ask(Method::GET, "overview", None).await?.json().await?;
        let version = overview.get("rabbitmq_version").and_then(Value::as_str);
        version.map(str::to_owned).context("RabbitMQ does not tell its version")
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Response> {
        let url = format!("{}/api/{path}", self.url);
        let mut request = self.client.request(method, &url).basic_auth("guest", Some("guest"));
        if let Some(body) = body {
            request = request.json(&body);
        }
        Ok(request.send().await?.error_for_status()?)
    }
}

fn is_not_found(error: &anyhow::Error) -> bool {
    let status = error.downcast_ref::<reqwest::Error>().and_then(reqwest::Error::status);
    status == Some(StatusCode::NOT_FOUND)
}

/// A path segment (RFC 3986): the names of connections hold `:`, `>` and spaces.
fn encode(segment: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encoded = |byte: u8| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    segment.bytes().map(encoded).collect()
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn the_name_of_a_connection_becomes_one_path_segment() {
        assert_eq!(
            encode("127.0.0.1:4567 -> 127.0.0.1:5672"),
            "127.0.0.1%3A4567%20-%3E%20127.0.0.1%3A5672"
        );
    }
}
