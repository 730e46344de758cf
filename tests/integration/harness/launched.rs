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

/// The command lines of everything that a process has started, and that these have.
pub(crate) fn processes_below(pid: u32) -> Vec<String> {
    let all: Vec<(i32, i32)> = procfs::process::all_processes()
        .unwrap()
        .filter_map(|one| one.ok()?.stat().ok())
        .map(|stat| (stat.pid, stat.ppid))
        .collect();
    let (mut parents, mut lines) = (vec![i32::try_from(pid).unwrap()], Vec::new());
    while let Some(parent) = parents.pop() {
        for (child, _) in all.iter().filter(|(_, of)| *of == parent) {
            parents.push(*child);
            let line = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            lines.push(String::from_utf8_lossy(&line).replace('\0', " "));
        }
    }
    lines
}

pub(crate) async fn nothing_runs(home: &Path) {
    eventually("nothing is left running", async || {
        let left = processes_of(home);
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}
