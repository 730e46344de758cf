//! The consumer of `examples/python-consumer`, run as a process.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use onboard_stack::cache;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;

use super::home::Home;
use super::servers::ONBOARD;
use super::{App, eventually};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/python-consumer");

/// The program with a database of its own; a process that is started again has
/// the same.
pub(crate) struct Python {
    home: Home,
    packages: PathBuf,
    url: String,
    child: Option<Child>,
}

impl Python {
    /// The consumer `crm`, with the rights of everybody.
    pub(crate) async fn of(app: &App) -> Self {
        Self::with(app.amqp_url()).await
    }

    /// The consumer `crm` at this broker, as this user; not started yet.
    pub(crate) async fn with(url: String) -> Self {
        let home = Home::new("python");
        Self { home, packages: packages().await, url, child: None }
    }

    pub(crate) fn start(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.file("log"));
        let log = log.unwrap();
        // The guard ends it with the tests, however they end.
        let child = Command::new(ONBOARD)
            .args(["guard", &std::process::id().to_string(), "--", "python3"])
            .arg(program())
            .env("PYTHONPATH", &self.packages)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("CONSUMER", "crm")
            .env("AMQP_URL", &self.url)
            .env("DATABASE", self.file("database"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn();
        self.child = Some(child.unwrap());
    }

    /// Ends it at once, with nothing cleaned up.
    pub(crate) async fn kill(&mut self) {
        self.child.take().unwrap().kill().await.unwrap();
    }

    /// Asks it to end, and expects that it does so with exit code 0.
    pub(crate) async fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        let pid = i32::try_from(child.id().unwrap()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
        let ended = tokio::time::timeout(Duration::from_mins(1), child.wait()).await;
        assert!(ended.unwrap().unwrap().success(), "{}", self.log());
    }

    /// How many customers its database has.
    pub(crate) async fn customers(&self) -> usize {
        customers(&self.file("database")).await
    }

    /// Waits until its database has so many customers.
    pub(crate) async fn has_customers(&self, count: usize) {
        eventually(&format!("{count} customers"), async || match self.customers().await {
            found if found == count => Ok(()),
            found => Err((found, self.log())),
        })
        .await;
    }

    /// What it has printed.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }
}

/// How many customers a database of the program has.
pub(crate) async fn customers(database: &Path) -> usize {
    const COUNT: &str = "import sqlite3, sys\n\
        database = sqlite3.connect(f'file:{sys.argv[1]}?mode=ro', uri=True, timeout=30)\n\
        print(database.execute('SELECT count(*) FROM customers').fetchone()[0])";
    let mut count = Command::new("python3");
    let counted = count.args(["-Ic", COUNT]).arg(database).output().await.unwrap();
    let text = String::from_utf8_lossy(&counted.stdout);
    // There is no table before its first start has come so far.
    text.trim().parse().unwrap_or_default()
}

/// The program's file.
pub(crate) fn program() -> PathBuf {
    Path::new(EXAMPLE).join("consumer.py")
}

/// What the program needs, installed once for this user: beside the servers.
pub(crate) async fn packages() -> PathBuf {
    static INSTALLED: OnceCell<PathBuf> = OnceCell::const_new();
    INSTALLED.get_or_init(install).await.clone()
}

async fn install() -> PathBuf {
    let wanted = std::fs::read_to_string(Path::new(EXAMPLE).join("requirements.txt")).unwrap();
    let cache = cache::default_dir().unwrap();
    // `pika==<version>`, before its hashes.
    let name = wanted.split_whitespace().next().unwrap();
    let place = cache.join(format!("python-consumer-{name}"));
    if place.is_dir() {
        return place;
    }
    std::fs::create_dir_all(&cache).unwrap();
    let work = tempfile::tempdir_in(&cache).unwrap();
    let unpacked = work.path().join("packages");
    let installed = Command::new("python3")
        .args(["-I", "-m", "pip", "install", "--quiet", "--no-cache-dir"])
        .args(["--only-binary", ":all:", "--require-hashes"])
        .args(["--disable-pip-version-check", "--no-input", "--root-user-action", "ignore", "-r"])
        .arg(Path::new(EXAMPLE).join("requirements.txt"))
        .arg("--target")
        .arg(&unpacked)
        .output()
        .await
        .unwrap();
    assert!(installed.status.success(), "{}", super::text(&installed));
    // Another process may have been quicker.
    if std::fs::rename(&unpacked, &place).is_err() {
        assert!(place.is_dir(), "{} cannot be made", place.display());
    }
    place
}
