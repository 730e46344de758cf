//! `onboard bench`, as a person or a pipeline runs it. What a run measures is
//! tried in `endurance/bench.rs`.

use crate::harness::{ONBOARD, text};

#[tokio::test]
async fn a_home_that_holds_something_is_refused_by_bench() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("mine"), "precious").unwrap();
    let mut bench = tokio::process::Command::new(ONBOARD);
    let bench = bench.args(["bench", "--quick", "--home"]).arg(home.path());
    let refused = bench.output().await.unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(refused.stdout.is_empty(), "{}", text(&refused));
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
}
