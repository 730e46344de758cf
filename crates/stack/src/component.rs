//! A handle to one process under supervision.
//!
//! Handles are cheap to clone. When the last one is dropped the process is
//! killed: a test that fails half-way leaves nothing running.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use nix::sys::signal::Signal;
use tokio::sync::{mpsc, oneshot, watch};

use crate::event::Events;
use crate::keeper::keeper;
use crate::probe::Probe;
use crate::process::{Launch, last_lines, log_end};
use crate::state::{Row, State, Status};
use crate::supervisor::{Act, Supervisor};

/// How soon a killed process must be gone.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// What a component is.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Its name, as `onboard status` shows it.
    pub name: String,
    /// How it is started.
    pub launch: Launch,
    /// How it is asked whether it is ready.
    pub probe: Probe,
    /// The port others reach it on.
    pub port: u16,
    /// How long a start may take before [`Component::start`] gives up.
    pub ready_within: Duration,
    /// How long it may take to stop after SIGTERM, before SIGKILL.
    pub stop_within: Duration,
}

/// A process under supervision: restarted with back-off when it dies.
#[derive(Debug, Clone)]
pub struct Component {
    spec: Arc<Spec>,
    acts: mpsc::UnboundedSender<Act>,
    status: watch::Receiver<Status>,
    /// Where in the log the output of the last start begins.
    log_begin: Arc<AtomicU64>,
}

impl Component {
    /// Puts a process under supervision, not started yet. `exe` is a copy of
    /// the `onboard` program: its `guard` starts the process.
    ///
    /// # Errors
    /// When the supervising thread cannot be started.
    pub fn supervise(spec: Spec, exe: PathBuf, events: Events) -> anyhow::Result<Self> {
        let spec = Arc::new(spec);
        let (acts, inbox) = mpsc::unbounded_channel();
        let (supervisor, status) = Supervisor::new(Arc::clone(&spec), exe, events, inbox);
        // The task ends when the last handle is gone; there is nobody to await it.
        drop(keeper()?.spawn(supervisor.run()));
        let log_begin = Arc::new(AtomicU64::new(log_end(&spec.launch.log)));
        Ok(Self { spec, acts, status, log_begin })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// The port others reach it on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.spec.port
    }

    /// The file its output goes to.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.spec.launch.log
    }

    /// Where it is now.
    #[must_use]
    pub fn status(&self) -> Status {
        *self.status.borrow()
    }

    /// Its line of `onboard status`.
    #[must_use]
    pub fn row(&self) -> Row {
        let Status { state, pid } = self.status();
        Row { component: self.name().to_owned(), pid, port: self.port(), state }
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// When it keeps dying or is not ready within its time; names the log.
    pub async fn start(&self) -> anyhow::Result<()> {
        self.request_start().await?;
        self.comes_up().await
    }

    /// Waits until it is ready, for as long as a start may take.
    ///
    /// # Errors
    /// As [`Self::ready`].
    pub(crate) async fn comes_up(&self) -> anyhow::Result<()> {
        self.ready(self.spec.ready_within).await
    }

    /// How it is asked whether it is ready.
    pub(crate) fn probe(&self) -> Probe {
        self.spec.probe
    }

    /// Starts it without waiting until it is ready.
    ///
    /// # Errors
    /// When it cannot be started at all.
    pub async fn request_start(&self) -> anyhow::Result<()> {
        self.log_begin.store(log_end(self.log()), Ordering::Relaxed);
        self.act(Act::Start).await
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// When it keeps dying or is not ready within `within`; names the log.
    pub async fn ready(&self, within: Duration) -> anyhow::Result<()> {
        let mut status = self.status.clone();
        let settled = status.wait_for(|now| matches!(now.state, State::Ready | State::Failed));
        match tokio::time::timeout(within, settled).await {
            Ok(Ok(now)) if now.state == State::Ready => Ok(()),
            Ok(_) => bail!("{} keeps dying; {}", self.name(), self.last_words()),
            Err(_) => bail!(
                "{} was not ready within {} s; {}",
                self.name(),
                within.as_secs(),
                self.last_words()
            ),
        }
    }

    /// Stops it (SIGTERM, after its time SIGKILL) and keeps it stopped.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub async fn stop(&self) -> anyhow::Result<()> {
        self.act(Act::Stop).await
    }

    /// Sends SIGKILL and waits until the process is gone; it is restarted,
    /// unless it was being stopped.
    ///
    /// # Errors
    /// When it is not running, or does not go.
    pub async fn kill(&self) -> anyhow::Result<()> {
        let killed = self.status().pid;
        self.act(|reply| Act::Signal(Signal::SIGKILL, reply)).await?;
        // Until it is gone it still counts as ready, and who waits for
        // readiness next wants that of the process that follows.
        let mut status = self.status.clone();
        let gone = status.wait_for(|now| now.pid != killed);
        tokio::time::timeout(GONE_WITHIN, gone)
            .await
            .with_context(|| format!("{} survives SIGKILL", self.name()))?
            .with_context(|| format!("nobody supervises {} any more", self.name()))?;
        Ok(())
    }

    /// Suspends it (SIGSTOP): it keeps its connections and answers nothing.
    ///
    /// # Errors
    /// When it is not running.
    pub async fn freeze(&self) -> anyhow::Result<()> {
        self.act(|reply| Act::Signal(Signal::SIGSTOP, reply)).await
    }

    /// Ends a [`Component::freeze`].
    ///
    /// # Errors
    /// When it is not running.
    pub async fn thaw(&self) -> anyhow::Result<()> {
        self.act(|reply| Act::Signal(Signal::SIGCONT, reply)).await
    }

    async fn act(
        &self,
        act: impl FnOnce(oneshot::Sender<anyhow::Result<()>>) -> Act,
    ) -> anyhow::Result<()> {
        let (reply, done) = oneshot::channel();
        let gone = || anyhow!("nobody supervises {} any more", self.name());
        self.acts.send(act(reply)).map_err(|_| gone())?;
        done.await.map_err(|_| gone())?
    }

    fn last_words(&self) -> String {
        last_lines(self.log(), self.log_begin.load(Ordering::Relaxed), 12)
    }
}
