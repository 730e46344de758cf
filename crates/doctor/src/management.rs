//! RabbitMQ's management API: the doctor asks it what AMQP does not tell, and
//! `onboard setup` bounds the queues of other programs' consumers with it.
//!
//! A policy is put as a whole and may be put again: a process that dies here has
//! put it or not.

use std::time::Duration;

use onboard_contract::ConsumerName;
use onboard_runtime::plain::note;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Messages that the queue of another program holds at most. Further publishes
/// are refused, and the workflow tries again.
pub const MESSAGES_MAX: u32 = 1_000_000;

/// The management API of one server.
#[derive(Debug)]
pub struct Management {
    url: SecretString,
    client: Client,
}

impl Management {
    /// At this URL, which holds a password.
    ///
    /// # Errors
    /// There is no HTTP client, in words.
    pub fn at(url: &SecretString) -> Result<Self, String> {
        let client = Client::builder().timeout(ANSWER_WITHIN).build().map_err(|e| plain(&e))?;
        Ok(Self { url: url.clone(), client })
    }

    /// What stands at a path; null when nothing does.
    pub(crate) async fn ask(&self, path: &str) -> Result<Value, String> {
        let answer = self.send(self.client.get(self.place(path))).await?;
        match answer.status().as_u16() {
            200 => answer.json::<Value>().await.map_err(|error| plain(&error.without_url())),
            404 => Ok(Value::Null),
            status => Err(answers(status)),
        }
    }

    /// Bounds a consumer's queue by a policy.
    ///
    /// # Errors
    /// The API does not answer or refuses, in words without the password.
    pub async fn bound(&self, vhost: &str, consumer: &ConsumerName) -> Result<(), String> {
        let path = format!("policies/{}/{}", encoded(vhost), policy(consumer));
        let put = self.client.put(self.place(&path)).json(&json!({
            "pattern": pattern(consumer),
            "apply-to": "queues",
            "definition": { "max-length": MESSAGES_MAX },
        }));
        match self.send(put).await?.status().as_u16() {
            201 | 204 => Ok(()),
            status => Err(answers(status)),
        }
    }

    /// Errors come without the URL, which holds the password.
    async fn send(&self, request: RequestBuilder) -> Result<Response, String> {
        request.send().await.map_err(|error| plain(&error.without_url()))
    }

    fn place(&self, path: &str) -> String {
        format!("{}/api/{path}", self.url.expose_secret().trim_end_matches('/'))
    }
}

/// The command that does the same as [`Management::bound`].
#[must_use]
pub fn bound_command(vhost: &str, consumer: &ConsumerName) -> String {
    let vhost = vhost.replace('\'', r"'\''");
    format!(
        "rabbitmqctl set_policy --vhost '{vhost}' --apply-to queues {} '{}' \
         '{{\"max-length\":{MESSAGES_MAX}}}'",
        policy(consumer),
        pattern(consumer)
    )
}

/// The name of the policy that bounds a consumer's queue.
fn policy(consumer: &ConsumerName) -> String {
    format!("onboard-{consumer}")
}

/// Matches the consumer's queue alone.
fn pattern(consumer: &ConsumerName) -> String {
    format!("^{}$", onboard_events::registration_queue(consumer).name.replace('.', r"\."))
}

pub(crate) fn encoded(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

/// What an error of HTTP says without the library's words; the chain goes to the log.
fn plain(error: &reqwest::Error) -> String {
    note(error);
    let words = match error {
        _ if error.is_timeout() => "the management API does not answer in time",
        _ if error.is_connect() => "nothing answers at the address of the management API",
        _ if error.is_decode() => "the management API answers something else than JSON",
        _ => "the management API cannot be asked",
    };
    words.to_owned()
}

fn answers(status: u16) -> String {
    format!("the management API answers {status}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_bounds_the_queue_of_its_consumer_alone() {
        let crm: ConsumerName = "crm".parse().unwrap();
        assert_eq!(pattern(&crm), r"^crm\.user_registered$");
        assert_eq!(
            bound_command("it's", &crm),
            r#"rabbitmqctl set_policy --vhost 'it'\''s' --apply-to queues onboard-crm '^crm\.user_registered$' '{"max-length":1000000}'"#
        );
    }

    #[test]
    fn no_debug_output_shows_the_password() {
        let url = SecretString::from("http://u:hunter2@host:15672");
        let shown = format!("{:?}", Management::at(&url).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
