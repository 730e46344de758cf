//! Progress of a download by another program: how much its directory grew.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use tokio::process::Command;

use crate::event::{Event, Events};

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Runs `command` and tells how `dir` grows towards `bytes_total`.
pub(super) async fn watch(
    command: &mut Command,
    (name, bytes_total): (&str, u64),
    dir: &Path,
    events: &Events,
) -> anyhow::Result<Output> {
    let mut running = Box::pin(command.stdin(Stdio::null()).kill_on_drop(true).output());
    let output = loop {
        tokio::select! {
            output = &mut running => break output,
            () = tokio::time::sleep(LOOK_EVERY) => events.send(Event::Download {
                name: name.to_owned(),
                bytes: size(dir).min(bytes_total),
                bytes_total,
            }),
        }
    };
    events.send(Event::Downloaded { name: name.to_owned() });
    output.with_context(|| format!("the download of {name} cannot be run"))
}

fn size(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => size(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}
