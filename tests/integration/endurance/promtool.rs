//! Prometheus' own tool judges the rules that are delivered.

use crate::harness::{text, tools};

const OBSERVABILITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/observability");

/// Prometheus' own judgement of the rules and of every case.
#[tokio::test]
async fn promtool_accepts_the_rules_and_their_cases() {
    let promtool = tools().await.join("promtool");
    for args in [
        &["check", "config", "prometheus.yml"][..],
        &["test", "rules", "alerts_test.yml", "alerts_long_test.yml"],
    ] {
        let mut told = tokio::process::Command::new(&promtool);
        let told = told.args(args).current_dir(OBSERVABILITY).output().await.unwrap();
        assert!(told.status.success(), "{args:?}: {}", text(&told));
    }
}
