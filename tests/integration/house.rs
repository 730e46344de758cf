//! Rules of the house that a compiler does not see.

mod alerts;
mod circles;
mod claims;
mod knowledge;
mod metrics;
mod ownership;
mod steps;
mod supply;

use std::path::Path;
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

/// Nothing that acts at a fail point is in the program that people run.
#[test]
fn the_program_has_no_fail_points() {
    let packages = |package: &str| -> Vec<String> {
        let tree = Command::new(env!("CARGO"))
            .args(["tree", "--offline", "--package", package, "--edges", "normal"])
            .args(["--prefix", "none", "--format", "{p}"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .output()
            .unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let tree = String::from_utf8(tree.stdout).unwrap();
        tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
    };
    let has = |packages: &[String], name: &str| packages.iter().any(|package| package == name);
    assert!(has(&packages("onboard-tests"), "fail"), "the program under test has them");
    let program = packages("onboard");
    assert!(has(&program, "onboard-fault") && !has(&program, "fail"), "{program:?}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for file in ["crates", "services"].iter().flat_map(|code| steps::sources(&root.join(code))) {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains("onboard_fault::install"), "{} installs a hook", file.display());
    }
}
