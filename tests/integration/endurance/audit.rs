//! The audit's memory does not grow with the number of registrations.

use std::process::Stdio;

use crate::harness::{App, Options, whole_machine};

/// Audits; how many registrations, and the largest resident set in kB that was
/// seen while it ran.
async fn audit(app: &App) -> (u64, u64) {
    let mut command = app.command(&["audit", "--json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id().unwrap());
    let mut peak_kb = 0;
    let ended = loop {
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        // `VmHWM` only grows: the last look before the end misses little.
        let seen = tokio::fs::read_to_string(&status).await.unwrap_or_default();
        let line = seen.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kb = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        peak_kb = kb.unwrap_or(peak_kb);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    let output = child.wait_with_output().await.unwrap();
    assert!(ended.success(), "{}", crate::harness::text(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    (report["attempted"].as_u64().unwrap(), peak_kb)
}

/// `AUDIT_ROWS=1000000` measures by hand; see `docs/adr/0013-audit.md`.
fn rows() -> usize {
    std::env::var("AUDIT_ROWS").map_or(40_000, |rows| rows.parse().unwrap())
}

#[tokio::test]
async fn memory_does_not_grow_with_the_number_of_registrations() {
    let _machine = whole_machine().await;
    let app = App::prepare_on_shared(Options::only(&[])).await;
    app.insert_old(4_000).await;
    let (few, few_kb) = audit(&app).await;
    app.insert_old(rows() - 4_000).await;
    let begun = std::time::Instant::now();
    let (many, many_kb) = audit(&app).await;
    eprintln!("{many} registrations: {many_kb} kB in {:?}; {few}: {few_kb} kB", begun.elapsed());
    assert_eq!((few, many), (4_000, rows() as u64));
    assert!(few_kb > 0);
    assert!(many_kb * 10 <= few_kb * 13, "{few_kb} kB for {few}, {many_kb} kB for {many}");
    app.remove().await;
}
