//! `onboard bench`, as a person or a pipeline runs it. A quick run of a debug
//! build measures nothing; it shows that each scenario works and leaves the
//! stack to the next one.

use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::{Home, ONBOARD, eventually, nothing_runs, text, whole_machine};

async fn bench(home: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(ONBOARD);
    command.arg("bench").args(args).arg("--home").arg(home).kill_on_drop(true);
    command.output().await.unwrap()
}

/// The figure of a scenario whose name begins so.
fn figure<'a>(report: &'a Value, scenario: &str, name: &str) -> &'a Value {
    let all = report["figures"].as_array().unwrap();
    let found = all.iter().find(|figure| {
        figure["scenario"] == scenario && figure["name"].as_str().unwrap().starts_with(name)
    });
    found.unwrap_or_else(|| panic!("no figure {name:?} of {scenario}: {report:#}"))
}

/// Measured, and beside a limit that was measured too.
fn is_judged(report: &Value, scenario: &str, name: &str) {
    let figure = figure(report, scenario, name);
    let limit = figure["limit"]["value"].as_f64().unwrap();
    let (value, ratio) = (figure["value"].as_f64().unwrap(), figure["ratio"].as_f64().unwrap());
    assert!(value > 0.0 && limit > 0.0, "{figure}");
    assert!((ratio - value / limit).abs() < 1e-6, "{figure}");
}

#[tokio::test]
async fn drain_consume_and_history_are_measured_beside_their_limits() {
    let _machine = whole_machine().await;
    let home = Home::new("bench");
    let place = home.path().join("home");
    let ran = bench(&place, &["history", "drain", "consume", "--quick", "--json", "--keep"]).await;
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran));
    nothing_runs(&place).await;
    // Nothing but the report is on standard output.
    let report: Value = serde_json::from_slice(&ran.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(&ran)));
    assert!(report["quick"] == true && report["cpus"].as_u64() > Some(0), "{report}");
    let progress = String::from_utf8_lossy(&ran.stderr);
    let phases = ["drain …", "consume …", "history …"].map(|phase| progress.find(phase));
    assert!(phases.iter().all(Option::is_some) && phases.is_sorted(), "{progress}");
    every_figure_is_there(&report);
    what_it_leaves_behind_passes_an_audit(&place).await;
}

fn every_figure_is_there(report: &Value) {
    for (scenario, name) in [
        ("drain", "registrations completed ÷ empty workflows"),
        ("consume", "tasks, inbox path alone"),
        ("consume", "registrations completed from the queue"),
        ("history", "claim of 8"),
        ("history", "sweep"),
        ("history", "stages"),
    ] {
        is_judged(report, scenario, name);
    }
    for name in ["mongo", "rabbitmq", "temporal", "relay", "worker", "todo"] {
        let cpu = figure(report, "drain", &format!("CPU per registration: {name}"));
        assert!(cpu["value"].as_f64() > Some(0.0), "{cpu}");
    }
    for name in ["MongoDB auth", "MongoDB todo", "Temporal"] {
        let stored = figure(report, "drain", &format!("stored per registration: {name}"));
        assert!(stored["value"].as_f64() > Some(100.0), "{stored}");
    }
}

/// The 100 of the backlog and the 40 of the queue, and nobody else.
async fn what_it_leaves_behind_passes_an_audit(home: &Path) {
    let log = std::fs::File::create(home.join("up.log")).unwrap();
    let mut up = Command::new(ONBOARD);
    up.args(["up", "--ports", "free"]).env("ONBOARD_HOME", home).kill_on_drop(true);
    let mut up =
        up.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    let audit = eventually("the stack is up again and can be audited", async || {
        let mut audit = Command::new(ONBOARD);
        audit.args(["audit", "--grace", "0s", "--histories", "all", "--json"]);
        let audit = audit.env("ONBOARD_HOME", home).output().await.unwrap();
        serde_json::from_slice::<Value>(&audit.stdout).map_err(|_| text(&audit))
    })
    .await;
    assert_eq!(audit["violations"], json!([]), "{audit:#}");
    assert_eq!((&audit["attempted"], &audit["acknowledged"]), (&json!(140), &json!(140)));
    up.kill().await.unwrap();
    nothing_runs(home).await;
}
