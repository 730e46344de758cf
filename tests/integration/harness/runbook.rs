//! The runbook as a program: its entries are read from the document, and their
//! commands are run by bash as they stand there, beside a real `onboard up`.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tokio::process::{Child, Command};
use tokio::sync::RwLockReadGuard;

use super::costs::{Phase, phase};
use super::home::Home;
use super::launched::all_ready;
use super::machine::part_of_the_machine;
use super::{ONBOARD, eventually, text};

const RUNBOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/runbook.md");

/// One `##` entry of the runbook.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) title: String,
    body: String,
}

impl Entry {
    /// Every entry, in the document's order.
    pub(crate) fn all() -> Vec<Self> {
        let document = std::fs::read_to_string(RUNBOOK).unwrap();
        document
            .split("\n## ")
            .skip(1)
            .map(|section| {
                let (title, body) = section.split_once('\n').unwrap();
                Self { title: title.trim().to_owned(), body: body.to_owned() }
            })
            .collect()
    }

    pub(crate) fn named(title: &str) -> Self {
        let found = Self::all().into_iter().find(|entry| entry.title == title);
        found.unwrap_or_else(|| panic!("the runbook has no entry {title:?}"))
    }

    /// The alerts that lead here, by the line `Alert: …`.
    pub(crate) fn alerts(&self) -> Vec<String> {
        let line = self.body.lines().find(|line| line.starts_with("Alert:"));
        line.unwrap_or_default().split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    /// Whether it is an act of the operator's own, to which no alert leads.
    pub(crate) fn is_operation(&self) -> bool {
        self.body.lines().any(|line| line.starts_with("Operation."))
    }

    /// Whether it has this part.
    pub(crate) fn has(&self, part: &str) -> bool {
        self.body.contains(&format!("\n**{part}.**"))
    }

    /// The fenced shell blocks of a part, in order; it ends where the next begins.
    pub(crate) fn commands(&self, part: &str) -> Vec<String> {
        let (_, rest) = self
            .body
            .split_once(&format!("**{part}.**"))
            .unwrap_or_else(|| panic!("{:?} has no part {part:?}", self.title));
        let part = rest.split("\n**").next().unwrap_or_default();
        let blocks = part.split("```sh\n").skip(1);
        blocks.map(|block| block.split("```").next().unwrap_or_default().to_owned()).collect()
    }
}

/// A running `onboard up` and a person at a shell in its directory.
pub(crate) struct Operated {
    dir: Home,
    up: Option<Child>,
    /// Held while it runs.
    part: Option<RwLockReadGuard<'static, ()>>,
}

impl Operated {
    /// `onboard up --ports free` with these settings; ready.
    pub(crate) async fn up(settings: &[(&str, &str)]) -> Self {
        let mut operated = Self::alone();
        operated.part = Some(part_of_the_machine().await);
        let log = std::fs::File::create(operated.dir().join("up.log")).unwrap();
        let mut up = Command::new(ONBOARD);
        up.args(["up", "--ports", "free"]).current_dir(operated.dir()).env_remove("ONBOARD_HOME");
        up.envs(settings.iter().copied()).kill_on_drop(true);
        up.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        operated.up = Some(up.spawn().unwrap());
        operated.all_ready().await;
        operated
    }

    /// A person at a shell where nothing runs yet. What they start is stopped
    /// at the end.
    pub(crate) fn alone() -> Self {
        let dir = Home::new("runbook");
        let bin = dir.path().join("path");
        std::fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(ONBOARD, bin.join("onboard")).unwrap();
        Self { dir, up: None, part: None }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The log of one component.
    pub(crate) fn log(&self, component: &str) -> PathBuf {
        self.dir().join(".onboard/logs").join(format!("{component}.log"))
    }

    pub(crate) async fn all_ready(&self) {
        all_ready(&self.dir().join(".onboard")).await;
    }

    /// What `onboard env` says of one variable.
    pub(crate) async fn variable(&self, name: &str) -> String {
        let told = self.sh(&format!("eval \"$(onboard env)\"; printf %s \"${name}\""), &[]).await;
        assert!(told.status.success(), "{}", text(&told));
        String::from_utf8(told.stdout).unwrap()
    }

    /// Runs a script as a person would; a wrong exit code is for the caller.
    pub(crate) async fn sh(&self, script: &str, variables: &[(&str, &str)]) -> Output {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("bash");
        command
            .args(["-euo", "pipefail", "-c", script])
            .current_dir(self.dir())
            .env("PATH", format!("{}:{path}", self.dir().join("path").display()))
            .env_remove("ONBOARD_HOME")
            .envs(variables.iter().copied())
            .kill_on_drop(true);
        phase(Phase::Command, command.output()).await.unwrap()
    }

    /// Runs every command of one part of an entry; all of them must succeed.
    /// Returns what they printed.
    pub(crate) async fn run(
        &self,
        entry: &Entry,
        part: &str,
        variables: &[(&str, &str)],
    ) -> String {
        let blocks = entry.commands(part);
        assert!(!blocks.is_empty(), "{:?} has no commands under {part:?}", entry.title);
        let mut printed = String::new();
        for block in blocks {
            let script = format!("eval \"$(onboard env)\"\n{block}");
            let ran = self.sh(&script, variables).await;
            assert!(
                ran.status.success(),
                "{:?}, {part}: exit {:?} of\n{block}\n{}",
                entry.title,
                ran.status.code(),
                text(&ran)
            );
            printed.push_str(&text(&ran));
        }
        printed
    }

    /// A part that must come true by itself: run until it succeeds.
    pub(crate) async fn comes_true(&self, entry: &Entry, part: &str, variables: &[(&str, &str)]) {
        let script = format!("eval \"$(onboard env)\"\n{}", entry.commands(part).concat());
        assert!(script.lines().count() > 1, "{:?} has no commands under {part:?}", entry.title);
        let what = format!("{:?}, {part}", entry.title);
        eventually(&what, async || {
            let ran = self.sh(&script, variables).await;
            if ran.status.success() { Ok(()) } else { Err(text(&ran)) }
        })
        .await;
    }

    /// Stops everything; it must end gracefully.
    pub(crate) async fn down(mut self) {
        let told = self.sh("onboard down", &[]).await;
        assert!(told.status.success(), "{}", text(&told));
        let ended = self.up.take().unwrap().wait().await.unwrap();
        assert!(ended.success(), "`onboard up` ends gracefully");
    }
}

impl Drop for Operated {
    fn drop(&mut self) {
        let home = self.dir().join(".onboard");
        if self.up.is_none() && home.is_dir() {
            let mut down = std::process::Command::new(ONBOARD);
            // Nothing runs there any more, most of the time.
            down.arg("down").env("ONBOARD_HOME", home).output().ok();
        }
    }
}
