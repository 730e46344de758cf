//! What a running `onboard up` says of its components, asked as `onboard status`
//! does, without a process for each question.

use std::path::Path;

use onboard::services::SERVICES;
use onboard_stack::Server;
use onboard_stack::control::{self, Request};
use serde_json::Value;

use super::costs::{Phase, phase};
use super::eventually;

const COMPONENTS: usize = Server::ALL.len() + SERVICES.len();

/// The rows of `onboard status --json`; none when nothing runs there.
pub(crate) async fn components(home: &Path) -> Vec<Value> {
    let answer = control::ask(home, &Request::Status).await.unwrap_or_default();
    let rows = answer.map(|answer| answer.components).unwrap_or_default();
    rows.iter().map(|row| serde_json::to_value(row).unwrap()).collect()
}

/// Waits until every component is ready.
pub(crate) async fn all_ready(home: &Path) {
    let ready = eventually("every component is ready", async || {
        let rows = components(home).await;
        let ready = rows.iter().filter(|row| row["state"] == "ready").count();
        if ready == COMPONENTS { Ok(()) } else { Err(rows) }
    });
    phase(Phase::Servers, ready).await;
}

/// Every process that has the home in its command line or environment.
pub(crate) fn processes_of(home: &Path) -> Vec<String> {
    let needle = home.as_os_str().as_encoded_bytes();
    let holds = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
        let line = read("cmdline");
        if pid != std::process::id() && (holds(&line) || holds(&read("environ"))) {
            found.push(format!("{pid} {}", String::from_utf8_lossy(&line).replace('\0', " ")));
        }
    }
    found
}

pub(crate) async fn nothing_runs(home: &Path) {
    eventually("nothing is left running", async || {
        let left = processes_of(home);
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}
