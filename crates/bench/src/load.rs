//! Clients that register, each person with an address of its own.
//!
//! A closed loop asks how much can be done: every client begins anew when it
//! has its answer. An open loop asks what becomes of a given rate: an arrival
//! waits for nobody.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use onboard_contract::{EventId, UserId};
use onboard_runtime::clock;
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use crate::samples::Samples;

/// What a client waits for an answer; auth answers within some 5 s.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests under way beyond which an arrival of an open loop is not sent.
const FLYING_MAX: usize = 2_000;

/// The people of a run.
#[derive(Debug)]
pub(crate) struct People {
    client: Client,
    run: String,
    number: AtomicU64,
}

/// What became of the requests of a loop.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// From when to when.
    pub(crate) took: Duration,
    /// Who was registered, and when the answer was read.
    pub(crate) created: Vec<(Created, Instant)>,
    /// How long a 201 took.
    pub(crate) answers: Samples,
    /// How long a 503 took.
    pub(crate) refusals: Samples,
    /// Anything else: another status, no answer, or an arrival that found too
    /// many under way.
    pub(crate) failed: u64,
}

/// The ids of a 201.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Created {
    pub(crate) user_id: UserId,
    pub(crate) registration_id: EventId,
}

enum Answer {
    Created(Created),
    Refused,
    Failed,
}

impl People {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let client = Client::builder().timeout(PATIENCE).no_proxy().build()?;
        let run = clock::random_id().simple().to_string();
        Ok(Self { client, run, number: AtomicU64::new(0) })
    }

    /// `clients` register without a pause for `length`.
    pub(crate) async fn closed(&self, url: &str, clients: usize, length: Duration) -> Tally {
        let begun = Instant::now();
        let mut tally = Tally::default();
        let mut flying: FuturesUnordered<_> =
            (0..clients).map(|_| self.one(url, Instant::now())).collect();
        while let Some(done) = flying.next().await {
            tally.add(done);
            if begun.elapsed() < length {
                flying.push(self.one(url, Instant::now()));
            }
        }
        tally.took = begun.elapsed();
        tally
    }

    /// `clients` register `count` people.
    pub(crate) async fn count(&self, url: &str, clients: usize, count: u64) -> Tally {
        let begun = Instant::now();
        let mut tally = Tally::default();
        let all = (0..count).map(|_| self.one(url, Instant::now()));
        let mut flying = futures::stream::iter(all).buffer_unordered(clients);
        while let Some(done) = flying.next().await {
            tally.add(done);
        }
        tally.took = begun.elapsed();
        tally
    }

    /// `rate` people a second arrive for `length`.
    pub(crate) async fn open(&self, url: &str, rate: f64, length: Duration) -> Tally {
        let begun = Instant::now();
        let mut tally = Tally::default();
        let mut clock = interval(Duration::from_secs_f64(1.0 / rate));
        // Arrivals that were late are made up for: the rate is the rate.
        clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut flying = FuturesUnordered::new();
        loop {
            tokio::select! {
                at = clock.tick(), if begun.elapsed() < length => {
                    if flying.len() < FLYING_MAX {
                        flying.push(self.one(url, at.into_std()));
                    } else if at.into_std() < begun + length {
                        tally.failed += 1;
                    }
                }
                Some(done) = flying.next() => tally.add(done),
                else => break,
            }
        }
        tally.took = begun.elapsed();
        tally
    }

    /// Somebody who arrived then registers. How long that takes counts from the arrival: a
    /// generator that is late itself must not hide that the service is.
    async fn one(&self, url: &str, arrived: Instant) -> (Answer, Duration, Instant) {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let email = format!("bench-{}-{number}@example.com", self.run);
        let body = json!({ "email": email, "password": "correct horse battery" });
        let answer = match self.client.post(url).json(&body).send().await {
            Ok(answer) if answer.status() == StatusCode::CREATED => {
                answer.json().await.map_or(Answer::Failed, Answer::Created)
            }
            Ok(answer) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => {
                // Read to its end, so that the connection serves again.
                answer.bytes().await.map_or(Answer::Failed, |_| Answer::Refused)
            }
            Ok(_) | Err(_) => Answer::Failed,
        };
        (answer, arrived.elapsed(), Instant::now())
    }
}

impl Tally {
    fn add(&mut self, (answer, took, at): (Answer, Duration, Instant)) {
        match answer {
            Answer::Created(created) => {
                self.created.push((created, at));
                self.answers.push(took);
            }
            Answer::Refused => self.refusals.push(took),
            Answer::Failed => self.failed += 1,
        }
    }

    /// Registrations a second.
    pub(crate) fn rate(&self) -> f64 {
        crate::samples::rate(self.created.len() as u64, self.took)
    }
}
