//! Rules of the house that a compiler does not see.

mod alerts;
mod metrics;
mod steps;

use std::process::Command;

/// Determinism by the dependency graph: workflow code cannot reach for I/O.
#[test]
fn the_workflow_crate_has_no_io_in_its_tree() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--package", "onboard-workflows", "--edges", "normal"])
        .args(["--prefix", "none", "--format", "{p} [{f}]"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.lines().any(|line| line.starts_with("temporalio-workflow ")), "{tree}");
    let banned = ["mongodb ", "lapin ", "hyper ", "reqwest ", "axum ", "temporalio-client ", "h2 "];
    for line in tree.lines() {
        assert!(!banned.iter().any(|name| line.starts_with(name)), "{line}");
        // Only its channels, which the gRPC message types draw in.
        if line.starts_with("tokio ") {
            let can_do_io =
                ["rt", "net", "fs", "time", "process", "signal"].into_iter().find(|feature| {
                    line.contains(&format!("[{feature}")) || line.contains(&format!(",{feature}"))
                });
            assert_eq!(can_do_io, None, "{line}");
        }
    }
}

/// Only the package of the tests turns the fail points on, so a build of the
/// program has none. (`main.rs` refuses a release build that has.)
#[test]
fn the_program_has_no_fail_points_unless_the_tests_ask_for_them() {
    let features = |package: &str| {
        let tree = Command::new(env!("CARGO"))
            .args(["tree", "--offline", "--package", package, "--edges", "normal,features"])
            .args(["--prefix", "none"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .output()
            .unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        String::from_utf8(tree.stdout).unwrap().contains("fail feature \"failpoints\"")
    };
    assert!(features("onboard-tests"), "the program under test has them");
    assert!(!features("onboard"), "the program has none");
}
