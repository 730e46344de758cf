//! The program as the commit in `tests/released-build` makes it, for a test that
//! runs two builds side by side.
//!
//! Its sources come from the history of the clone, and nothing in the repository
//! changes. Sources and program lie below `target/released`. Cargo finds them again
//! at the next run, and compiles nothing then.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::process::Command;

use crate::harness::text;

const COMMIT: &str = include_str!("../../released-build");
const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const BUILT_WITHIN: Duration = Duration::from_mins(6);

/// What cargo tells the tests about themselves. Build scripts read such variables,
/// and cargo would compile their packages anew in this build and in the next.
const ABOUT_THE_TESTS: [&str; 5] =
    ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_BIN_", "CARGO_CRATE_", "OUT_DIR"];

/// The program; `None` where the clone lacks the commit, which standard error says.
pub(crate) async fn program() -> Option<PathBuf> {
    let commit = COMMIT.trim();
    let there = git(&["cat-file", "-e", &format!("{commit}^{{commit}}")]).await;
    if let Err(why) = there {
        skipped(&format!(
            "this clone lacks that commit. Fetch the whole history (git fetch --unshallow). {why}"
        ));
        return None;
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let released = target.join("released");
    let source = released.join(commit);
    if !source.exists() {
        unpack(commit, &source).await;
    }
    let begun = Instant::now();
    if !compile(&source, target, &released).await {
        skipped(&format!("cargo did not finish it within {BUILT_WITHIN:?}; it goes on next time"));
        return None;
    }
    eprintln!("the build of {commit} took {:?}", begun.elapsed());
    Some(released.join("debug/onboard"))
}

/// Says loudly that there is no such program. Not by a macro, which libtest keeps
/// to itself when the test passes.
fn skipped(why: &str) {
    let commit = COMMIT.trim();
    let told = format!("no test ran the build of {commit} beside today's: {why}");
    std::io::stderr().write_all(format!("\n==== SKIPPED: {told}\n\n").as_bytes()).unwrap();
}

/// Unpacks the sources of the commit beside their place, and then moves them there.
/// Each file is as old as the commit, so that cargo sees no change.
async fn unpack(commit: &str, source: &Path) {
    let part = source.with_extension("part");
    let archive = source.with_extension("tar");
    if part.exists() {
        std::fs::remove_dir_all(&part).unwrap();
    }
    std::fs::create_dir_all(&part).unwrap();
    git(&["archive", "--output", archive.to_str().unwrap(), commit]).await.unwrap();
    let mut tar = Command::new("tar");
    run(tar.arg("-xf").arg(&archive).arg("-C").arg(&part)).await.unwrap();
    std::fs::remove_file(&archive).unwrap();
    std::fs::rename(&part, source).unwrap();
}

/// Compiles the program. Packages of others lie in the target directory of the
/// tests, where cargo has compiled most of them already. Cargo would confuse our
/// packages of the two builds there, were it not for a profile that nobody else
/// asks for. At the lowest priority, for other tests run meanwhile.
/// False when that takes too long on this machine.
async fn compile(source: &Path, target: &Path, released: &Path) -> bool {
    let mut cargo = Command::new("nice");
    cargo.args(["-n", "19", env!("CARGO"), "build", "--quiet", "--locked"]);
    cargo.args(["--workspace", "--bin", "onboard"]).current_dir(source);
    for (name, _) in std::env::vars_os() {
        let about_the_tests = |name: &str| ABOUT_THE_TESTS.iter().any(|of| name.starts_with(of));
        if name.to_str().is_some_and(about_the_tests) {
            cargo.env_remove(name);
        }
    }
    cargo.env("CARGO_BUILD_BUILD_DIR", target).env("CARGO_TARGET_DIR", released);
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "line-directives-only");
    match tokio::time::timeout(BUILT_WITHIN, run(&mut cargo)).await {
        Ok(built) => {
            built.unwrap();
            true
        }
        Err(_) => false,
    }
}

async fn git(args: &[&str]) -> Result<(), String> {
    run(Command::new("git").arg("-C").arg(REPOSITORY).args(args)).await
}

async fn run(command: &mut Command) -> Result<(), String> {
    let output = command.kill_on_drop(true).output().await.map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(text(&output)) }
}
