//! Two minutes of `onboard chaos`, run as the runbook says.

use serde_json::Value;

use crate::harness::{Entry, Operated, text};

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
    let report: Value = serde_json::from_slice(&ran.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(&ran)));
    for count in ["lost", "duplicated", "unexpected", "unfinished"] {
        assert_eq!(report[count], 0, "{count}: {}", text(&ran));
    }
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran));
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
