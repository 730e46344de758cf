//! Two minutes of `onboard chaos`, run as the runbook says, and one with a second
//! consumer.

use serde_json::Value;
use tokio::process::Command;

use crate::harness::{Entry, Home, ONBOARD, Operated, python, text};

/// How many faults of a kind were done.
fn done(report: &Value, kind: &str) -> u64 {
    report["faults"]["byKind"][kind].as_u64().unwrap_or(0)
}

#[tokio::test]
async fn two_minutes_of_chaos_lose_nobody_and_serve_nobody_twice() {
    let args = ["--minutes", "2", "--seed", "7", "--rate", "5", "--cheap-hashing", "--json"];
    let entry = Entry::named("A chaos run is not clean");
    let command = entry.commands("Verify").concat();
    let ran = Operated::alone().sh(&command, &[("ARGUMENTS", &args.join(" "))]).await;
    let report = clean(&ran);
    let attempted = report["attempted"].as_u64().unwrap();
    let acknowledged = report["acknowledged"].as_u64().unwrap();
    assert!(attempted >= 550, "the load is steady whatever breaks: {report}");
    assert!(acknowledged >= 100, "and enough of it is accepted to be worth a verdict: {report}");
    // The auditor has seen them all, by itself.
    assert!(report["audit"]["acknowledged"].as_u64().unwrap() >= acknowledged, "{report}");
    assert!(report["faults"]["done"].as_u64().unwrap() >= 20, "{report}");
    for kind in ["kill", "freeze", "restart"] {
        assert!(done(&report, kind) > 0, "{kind}: {report}");
    }
    // Whoever is refused is told so: nothing but 503.
    let refused: Vec<&String> = report["refused"].as_object().unwrap().keys().collect();
    assert!(refused.iter().all(|status| *status == "503"), "{report}");
}

/// The consumer of `examples/python-consumer` is killed, frozen and restarted,
/// too, and makes one customer of each user.
#[tokio::test]
async fn a_minute_of_chaos_with_a_second_consumer_loses_nobody_at_either() {
    let home = Home::new("chaos");
    let dir = home.path().join("run");
    let consumer = format!("python3 '{}'", python::program().display());
    let ran = Command::new(ONBOARD)
        .args(["chaos", "--minutes", "1", "--seed", "11", "--rate", "5", "--cheap-hashing"])
        .args(["--json", "--keep", "--consumer", &consumer, "--home"])
        .arg(&dir)
        .env("PYTHONPATH", python::packages().await)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let report = clean(&ran);
    let acknowledged = report["acknowledged"].as_u64().unwrap();
    assert!(acknowledged >= 50, "enough of it is accepted to be worth a verdict: {report}");
    assert!(report["faults"]["byTarget"]["crm"].is_object(), "crm is broken, too: {report}");
    let registered = report["audit"]["acknowledged"].as_u64().unwrap();
    assert!(registered >= acknowledged, "{report}");
    assert_eq!(python::customers(&dir.join("crm.sqlite3")).await as u64, registered, "{report}");
}

/// The report of a run that is clean.
fn clean(ran: &std::process::Output) -> Value {
    let report: Value = serde_json::from_slice(&ran.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(ran)));
    for count in ["lost", "duplicated", "unexpected", "unfinished"] {
        assert_eq!(report[count], 0, "{count}: {}", text(ran));
    }
    assert_eq!(ran.status.code(), Some(0), "{}", text(ran));
    report
}
