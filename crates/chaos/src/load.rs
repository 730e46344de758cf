//! People who register at a steady rate, whatever the system does.
//!
//! The loop is open: an arrival does not wait for earlier answers. Every
//! attempt has an address of its own and is made once, so that what the client
//! knows of it is what the journal says.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use onboard_contract::{EventId, UserId};
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::journal::{Journal, Outcome};

/// What a client waits for an answer. auth answers within some 5 s or not at
/// all.
const PATIENCE: Duration = Duration::from_secs(10);
/// Attempts under way beyond which an arrival is not sent.
const FLYING_MAX: usize = 1_000;

/// Who registers where, how often and for how long.
#[derive(Debug)]
pub(crate) struct Load {
    client: Client,
    urls: Vec<String>,
    pause: Duration,
    length: Duration,
    seed: u64,
}

impl Load {
    pub(crate) fn new(
        auths: &[String],
        (rate, length): (f64, Duration),
        seed: u64,
    ) -> anyhow::Result<Self> {
        let urls = auths.iter().map(|url| format!("{url}/api/v1/auth/register")).collect();
        let client = Client::builder().timeout(PATIENCE).no_proxy().build()?;
        Ok(Self { client, urls, pause: Duration::from_secs_f64(1.0 / rate), length, seed })
    }

    /// Registers people until the time is over and every answer is in.
    pub(crate) async fn run(&self, journal: &Journal) {
        let mut clock = interval(self.pause);
        // Arrivals that were late are made up for: the rate is the rate.
        clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let end = Instant::now() + self.length;
        let mut flying = FuturesUnordered::new();
        let mut arrivals = self.urls.iter().cycle();
        loop {
            tokio::select! {
                at = clock.tick(), if Instant::now() < end => match arrivals.next() {
                    Some(url) if flying.len() < FLYING_MAX => {
                        flying.push(self.attempt(url, journal));
                    }
                    Some(_) if at < end => journal.shed(),
                    Some(_) | None => {}
                },
                Some(()) = flying.next() => {}
                else => break,
            }
        }
    }

    async fn attempt(&self, url: &str, journal: &Journal) {
        let (number, _) = journal.counts();
        let email = format!("chaos-{}-{number}@example.com", self.seed);
        let body = json!({ "email": email, "password": "correct horse battery" });
        let number = journal.begin(email);
        let outcome = match self.client.post(url).json(&body).send().await {
            Ok(answer) => read(answer).await,
            Err(_) => Outcome::Unknown,
        };
        journal.end(number, outcome);
    }
}

/// The ids of a 201.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    user_id: UserId,
    registration_id: EventId,
}

async fn read(answer: Response) -> Outcome {
    let status = answer.status();
    if status != StatusCode::CREATED {
        return Outcome::Refused(status.as_u16());
    }
    // An answer that was cut off says nothing for sure.
    match answer.json::<Created>().await {
        Ok(created) => {
            Outcome::Acknowledged { user: created.user_id, registration: created.registration_id }
        }
        Err(_) => Outcome::Unknown,
    }
}
