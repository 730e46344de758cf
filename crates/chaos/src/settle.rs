//! After the faults: everything is mended, and whatever was begun is let
//! finish.
//!
//! The wait is bounded. The judge and the auditor name the registrations that are not
//! finished at its end.

use std::fmt;
use std::time::Duration;

use anyhow::Context as _;
use onboard_ops::Databases;
use onboard_stack::State;
use reqwest::Client;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::facts;
use crate::inject::mend;
use crate::live::Live;
use crate::management::Management;
use crate::stage::Stage;

/// How long everything may take to finish. The slowest to come round is a
/// workflow that was overdue: it looks and publishes again after 30 s, 60 s,
/// 120 s and so on, up to 10 min apart.
const SETTLED_WITHIN: Duration = Duration::from_mins(12);
/// Nothing may be left for this long: RabbitMQ's own figures are up to 5 s old.
const QUIET_FOR: Duration = Duration::from_secs(6);
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What is not at its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Left {
    /// Components that are not ready.
    pub not_ready: Vec<String>,
    /// Outbox rows and inbox records that are not at their end.
    pub rows: u64,
    /// Messages in the queue.
    pub messages: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Workflows that run.
    pub workflows: u64,
}

impl Left {
    /// Whether nothing waits for anything. Dead letters wait for a person:
    /// they are the auditor's to judge.
    #[must_use]
    pub fn nothing(&self) -> bool {
        self.not_ready.is_empty() && self.rows == 0 && self.messages == 0 && self.workflows == 0
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, messages, dead_letters, workflows, .. } = self;
        write!(f, "{rows} rows, {messages} messages, {workflows} workflows")?;
        if *dead_letters > 0 {
            write!(f, ", {dead_letters} dead letters")?;
        }
        if !self.not_ready.is_empty() {
            write!(f, ", not ready: {}", self.not_ready.join(" "))?;
        }
        Ok(())
    }
}

/// How the run came to rest.
#[derive(Debug)]
pub struct Settled {
    /// How long it took; `None` when it did not.
    pub after: Option<Duration>,
    /// What the last look saw; `None` when a server did not answer it.
    pub left: Option<Left>,
}

/// Mends everything and waits until nothing is left to do.
///
/// # Errors
/// A component cannot be started at all, or RabbitMQ does not come back.
pub async fn settle(stage: &Stage, mongo: &Databases, live: &Live) -> anyhow::Result<Settled> {
    let began = Instant::now();
    mend(stage).await?;
    let looker = Looker::new(stage, mongo)?;
    let mut quiet_since: Option<Instant> = None;
    let mut left = None;
    while began.elapsed() < SETTLED_WITHIN {
        match looker.look().await {
            Ok(seen) if seen.nothing() => {
                let since = *quiet_since.get_or_insert_with(Instant::now);
                left = Some(seen);
                if since.elapsed() >= QUIET_FOR {
                    return Ok(Settled { after: Some(since - began), left });
                }
            }
            Ok(seen) => {
                live.settling(&seen.to_string());
                quiet_since = None;
                left = Some(seen);
            }
            Err(error) => {
                live.settling(&format!("{error:#}"));
                quiet_since = None;
            }
        }
        sleep(LOOK_AGAIN).await;
    }
    Ok(Settled { after: None, left })
}

struct Looker<'a> {
    stage: &'a Stage,
    mongo: &'a Databases,
    management: Management,
    http: Client,
}

#[derive(Debug, Deserialize)]
struct Count {
    #[serde(default)]
    count: String,
}

impl<'a> Looker<'a> {
    fn new(stage: &'a Stage, mongo: &'a Databases) -> anyhow::Result<Self> {
        let http = Client::builder().timeout(Duration::from_secs(3)).no_proxy().build()?;
        Ok(Self { stage, mongo, management: stage.management()?, http })
    }

    async fn look(&self) -> anyhow::Result<Left> {
        let all = self.stage.stack().components();
        let waiting = all.filter(|component| component.status().state != State::Ready);
        let not_ready = waiting.map(|component| component.name().to_owned()).collect();
        let depths = self.management.depths().await.context("RabbitMQ does not answer")?;
        Ok(Left {
            not_ready,
            rows: facts::unfinished(self.mongo).await.context("MongoDB does not answer")?,
            messages: depths.queue,
            dead_letters: depths.dead_letters,
            workflows: self.workflows().await.context("Temporal does not answer")?,
        })
    }

    /// Running workflows, as visibility tells them through the web UI.
    async fn workflows(&self) -> anyhow::Result<u64> {
        let ui = self.stage.stack().servers().temporal_ui_url();
        let url = format!(
            "{ui}/api/v1/namespaces/default/workflow-count?query=ExecutionStatus%3D%27Running%27"
        );
        let answer = self.http.get(url).send().await?.error_for_status()?;
        let Count { count } = answer.json().await?;
        if count.is_empty() { Ok(0) } else { Ok(count.parse()?) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_that_waits_is_something_and_a_dead_letter_waits_for_a_person() {
        let nothing =
            Left { not_ready: vec![], rows: 0, messages: 0, dead_letters: 0, workflows: 0 };
        assert!(nothing.nothing());
        assert!(Left { dead_letters: 1, ..nothing.clone() }.nothing());
        for left in [
            Left { not_ready: vec!["mongo".into()], ..nothing.clone() },
            Left { rows: 1, ..nothing.clone() },
            Left { messages: 1, ..nothing.clone() },
            Left { workflows: 1, ..nothing.clone() },
        ] {
            assert!(!left.nothing(), "{left}");
        }
    }
}
