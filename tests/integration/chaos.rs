//! `onboard chaos`, as a person or a pipeline runs it.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;

use crate::harness::{
    Entry, Home, ONBOARD, Operated, eventually, nothing_runs, processes_of, text,
};

fn chaos(args: &[&str]) -> Command {
    let mut command = Command::new(ONBOARD);
    command.arg("chaos").args(args).kill_on_drop(true);
    command
}

/// Runs it as the runbook says.
async fn output(args: &[&str]) -> Output {
    let entry = Entry::named("A chaos run is not clean");
    let operated = Operated::alone();
    operated.sh(&entry.commands("Verify").concat(), &[("ARGUMENTS", &args.join(" "))]).await
}

/// The Check of the runbook finds an id in the logs that were kept.
async fn the_logs_that_were_kept_are_found(place: &Path) {
    let entry = Entry::named("A chaos run is not clean");
    let variables = [("KEPT", place.to_str().unwrap()), ("ID", "\"level\"")];
    let found = Operated::alone().run(&entry, "Check", &variables).await;
    assert!(found.lines().count() > 1, "{found}");
}

#[tokio::test]
async fn an_interrupted_run_leaves_nothing_running_not_even_what_is_frozen() {
    let home = Home::new("chaos");
    let place = home.path().join("home");
    let args = ["--minutes", "5", "--seed", "1", "--rate", "1", "--faults-per-minute", "120"];
    let log = std::fs::File::create(home.path().join("chaos.log")).unwrap();
    let mut run = chaos(&args)
        .args(["--cheap-hashing", "--home", place.to_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    eventually("something is frozen", async || {
        let said = std::fs::read_to_string(home.path().join("chaos.log")).unwrap();
        if frozen(&place) { Ok(()) } else { Err(said) }
    })
    .await;
    kill(Pid::from_raw(run.id().unwrap().try_into().unwrap()), Signal::SIGINT).unwrap();
    let ended = tokio::time::timeout(Duration::from_mins(2), run.wait()).await;
    assert_eq!(ended.expect("it ends").unwrap().code(), Some(1), "no verdict is no yes");
    nothing_runs(&place).await;
    let said = std::fs::read_to_string(home.path().join("chaos.log")).unwrap();
    assert!(said.contains("no verdict") && said.contains("kept in"), "{said}");
    the_logs_that_were_kept_are_found(&place).await;
}

/// Whether a process that belongs to the home is suspended (`T` in proc(5)).
fn frozen(home: &Path) -> bool {
    let pids = processes_of(home);
    pids.iter().filter_map(|line| line.split(' ').next()).any(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
    })
}

#[tokio::test]
async fn the_plan_is_the_same_whenever_it_is_asked_for() {
    let args = ["--minutes", "2", "--seed", "7", "--plan"];
    let (first, second) = (output(&args).await, output(&args).await);
    assert!(first.status.success(), "{}", text(&first));
    assert_eq!(first.stdout, second.stdout);
    assert_eq!(first.stdout.split(|byte| *byte == b'\n').count(), 41, "{}", text(&first));
}

#[tokio::test]
async fn a_home_that_holds_something_is_refused() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("mine"), "precious").unwrap();
    let dir = home.path().to_str().unwrap();
    let refused = output(&["--minutes", "1", "--seed", "1", "--home", dir]).await;
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
}
