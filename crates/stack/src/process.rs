//! How a child process is started: behind the guard, in a process group of
//! its own (a Ctrl-C reaches only `onboard up`, which then stops things in
//! order), with its output appended to a log file.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;
use tokio::process::{Child, Command};

const LOG_BYTES_MAX: u64 = 50 * 1024 * 1024;

/// What to run.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables set for it.
    pub env: Vec<(String, OsString)>,
    /// What it sees of the caller's environment.
    pub inherited: Inherited,
    /// Its working directory; the caller's when `None`.
    pub dir: Option<PathBuf>,
    /// Where its output goes.
    pub log: PathBuf,
    /// Who comes first when the CPUs do not suffice.
    pub priority: Priority,
    /// What is compared before each start: all that is from the cache.
    pub check: Vec<Check>,
}

/// What of the cache has to be as it was installed, before a process starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// The SHA-256 of the executable.
    Sha256(String),
    /// Every file of a folder, as the record beside the folder says.
    Folder(PathBuf),
}

/// What a process sees of the caller's environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inherited {
    /// Nothing.
    Nothing,
    /// Everything but these variables.
    AllBut(&'static [&'static str]),
}

/// Who comes first when the CPUs do not suffice for all (ADR 0031).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Somebody waits for the answer.
    Foreground,
    /// What waits for it waits in a database.
    Background,
}

impl Launch {
    /// Starts it behind `exe guard`. Call this on the keeper only.
    pub(crate) fn spawn(&self, exe: &Path) -> anyhow::Result<Child> {
        let log = open_log(&self.log)?;
        let log_too = log.try_clone().context("the log file cannot be shared")?;
        let mut command = Command::new(exe);
        command.arg("guard").arg(std::process::id().to_string());
        if self.priority == Priority::Background {
            command.arg("--background");
        }
        for check in &self.check {
            match check {
                Check::Sha256(sha256) => command.arg("--sha256").arg(sha256),
                Check::Folder(folder) => command.arg("--folder").arg(folder),
            };
        }
        command.arg("--");
        command.arg(&self.program).args(&self.args);
        match self.inherited {
            Inherited::Nothing => {
                command.env_clear();
            }
            Inherited::AllBut(variables) => variables.iter().for_each(|variable| {
                command.env_remove(variable);
            }),
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command.stdin(Stdio::null()).stdout(log).stderr(log_too);
        command.process_group(0).kill_on_drop(true);
        command.spawn().with_context(|| format!("{} cannot be started", exe.display()))
    }
}

fn open_log(path: &Path) -> anyhow::Result<File> {
    let too_long = std::fs::metadata(path).is_ok_and(|meta| meta.len() > LOG_BYTES_MAX);
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("the log {} cannot be opened", path.display()))?;
    if too_long {
        file.set_len(0).with_context(|| format!("the log {} cannot be cut", path.display()))?;
    }
    Ok(file)
}

/// How long a log is, which is where the output of the next process begins.
#[must_use]
pub fn log_end(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |meta| meta.len())
}

/// The end of a log for an error message: at most `lines_max` lines, and nothing that was
/// there before `begin`.
#[must_use]
pub fn last_lines(path: &Path, begin: u64, lines_max: usize) -> String {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(path) {
        let len = file.metadata().map_or(0, |meta| meta.len());
        // A log that was cut since holds nothing but this run.
        let begin = if len < begin { 0 } else { begin };
        let from = begin.max(len.saturating_sub(16 * 1024));
        // A log that cannot be read gives an empty end, not a second error.
        drop(file.seek(SeekFrom::Start(from)));
        drop(file.read_to_end(&mut bytes));
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    if lines.is_empty() {
        return format!("its log {} has no line of this start", path.display());
    }
    let from = lines.len().saturating_sub(lines_max);
    let lines = lines.get(from..).unwrap_or_default().join("\n");
    format!("the end of its log {}:\n{lines}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_guard_is_told_all_that_it_has_to_compare() {
        let dir = tempfile::tempdir().unwrap();
        let folder = |name: &str| Check::Folder(name.into());
        let launch = Launch {
            program: "program".into(),
            args: vec!["argument".into()],
            env: Vec::new(),
            inherited: Inherited::Nothing,
            dir: None,
            log: dir.path().join("log"),
            priority: Priority::Foreground,
            check: vec![Check::Sha256("ab".to_owned()), folder("/a"), folder("/b")],
        };
        // It prints its arguments in place of the guard.
        let mut printed = launch.spawn(Path::new("/bin/echo")).unwrap();
        assert!(printed.wait().await.unwrap().success());
        let said = std::fs::read_to_string(&launch.log).unwrap();
        let wanted = "--sha256 ab --folder /a --folder /b -- program argument\n";
        assert!(said.ends_with(wanted), "{said}");
    }

    #[test]
    fn the_end_of_a_log_is_that_of_this_start() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        std::fs::write(&log, "an old fatal error\n").unwrap();
        let begin = log_end(&log);
        assert!(last_lines(&log, begin, 5).ends_with("has no line of this start"));
        std::fs::write(&log, "an old fatal error\none\ntwo\nthree\n").unwrap();
        let said = last_lines(&log, begin, 2);
        assert!(said.ends_with(":\ntwo\nthree"), "{said}");
        std::fs::write(&log, "cut\n").unwrap();
        assert!(last_lines(&log, begin, 2).ends_with(":\ncut"));
    }
}
