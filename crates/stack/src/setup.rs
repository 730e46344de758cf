//! Runs `onboard setup`: replica set, collections, queues, namespace.
//!
//! Safe to repeat, so it is: servers that have only just come up may not take
//! every request yet.

use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::event::Events;
use crate::keeper::keeper;
use crate::process::{last_lines, log_end};
use crate::servers::Servers;

const TRIES: u32 = 5;
const WITHIN: Duration = Duration::from_mins(1);
/// Wrong usage and bad configuration do not get better by waiting.
const FINAL_CODES: [i32; 2] = [2, 64];

/// Runs it until it succeeds, five times at most.
///
/// # Errors
/// With the end of its output, when it does not succeed.
pub async fn run(servers: &Servers, events: &Events) -> anyhow::Result<()> {
    let log = servers.home().log("setup");
    let begin = log_end(&log);
    let mut pause = Duration::from_millis(500);
    for attempt in 1..=TRIES {
        let code = run_once(servers).await?;
        if code == Some(0) {
            return Ok(());
        }
        if attempt == TRIES || code.is_some_and(|code| FINAL_CODES.contains(&code)) {
            break;
        }
        events.note(format!("setup: not yet (try {attempt} of {TRIES})"));
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    bail!("setup did not succeed; {}", last_lines(&log, begin, 15))
}

/// Its exit code; `None` when a signal or the time limit ended it.
async fn run_once(servers: &Servers) -> anyhow::Result<Option<i32>> {
    let management = servers.ports().management_url();
    let launch =
        servers.launch("setup", &["setup"], &[("AMQP_MANAGEMENT_URL", management.as_str())]);
    let exe = servers.exe().to_owned();
    let run = keeper()?.spawn(async move {
        let mut child = launch.spawn(&exe)?;
        match tokio::time::timeout(WITHIN, child.wait()).await {
            Ok(status) => anyhow::Ok(status?.code()),
            Err(_) => Ok(None),
        }
    });
    run.await.context("the run of setup was lost")?
}
