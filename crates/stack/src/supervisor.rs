//! The task that keeps one process alive, on the keeper's thread.
//!
//! When this process dies the kernel kills the child; there is no state to
//! recover.

use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::component::Spec;
use crate::event::{Event, Events};
use crate::probe::Miss;
use crate::state::{Life, State, Status};

const ASK_AGAIN: Duration = Duration::from_millis(150);
const ASK_AGAIN_WHEN_READY: Duration = Duration::from_secs(2);

pub(crate) type Reply = oneshot::Sender<anyhow::Result<()>>;

/// What a handle asks for.
#[derive(Debug)]
pub(crate) enum Act {
    Start(Reply),
    Stop(Reply),
    Signal(Signal, Reply),
}

enum Turn {
    Act(Act),
    Abandoned,
    Exited(std::io::Result<ExitStatus>),
    PauseOver,
    StopOverdue,
    Probed(Result<(), Miss>),
}

type Probing = Pin<Box<dyn Future<Output = Result<(), Miss>> + Send>>;

pub(crate) struct Supervisor {
    spec: Arc<Spec>,
    exe: PathBuf,
    events: Events,
    inbox: mpsc::UnboundedReceiver<Act>,
    status: watch::Sender<Status>,
    life: Life,
    wanted: bool,
    child: Option<Child>,
    probing: Option<Probing>,
    restart_at: Option<Instant>,
    stop_by: Option<Instant>,
    awaiting_stop: Vec<Reply>,
}

impl Supervisor {
    pub(crate) fn new(
        spec: Arc<Spec>,
        exe: PathBuf,
        events: Events,
        inbox: mpsc::UnboundedReceiver<Act>,
    ) -> (Self, watch::Receiver<Status>) {
        let (status, watcher) = watch::channel(Status { state: State::Stopped, pid: None });
        let supervisor = Self {
            spec,
            exe,
            events,
            inbox,
            status,
            life: Life::new(),
            wanted: false,
            child: None,
            probing: None,
            restart_at: None,
            stop_by: None,
            awaiting_stop: Vec::new(),
        };
        (supervisor, watcher)
    }

    pub(crate) async fn run(mut self) {
        loop {
            match self.turn().await {
                Turn::Act(act) => self.act(act),
                Turn::Exited(status) => self.exited(&status),
                Turn::PauseOver => self.spawn_or_pause(),
                Turn::StopOverdue => self.stop_overdue(),
                Turn::Probed(answer) => self.probed(answer),
                Turn::Abandoned => break,
            }
        }
        self.signal_group(Signal::SIGKILL).ok();
    }

    async fn turn(&mut self) -> Turn {
        tokio::select! {
            act = self.inbox.recv() => act.map_or(Turn::Abandoned, Turn::Act),
            status = exit_of(self.child.as_mut()) => Turn::Exited(status),
            () = at(self.restart_at) => Turn::PauseOver,
            () = at(self.stop_by) => Turn::StopOverdue,
            answer = end_of(self.probing.as_mut()) => Turn::Probed(answer),
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Start(reply) => answer(reply, self.start()),
            Act::Stop(reply) => self.stop(reply),
            Act::Signal(signal, reply) => answer(reply, self.signal_group(signal)),
        }
    }

    fn start(&mut self) -> anyhow::Result<()> {
        self.wanted = true;
        self.life.wanted();
        if self.child.is_some() {
            // Running already, or about to end and then started again.
            return Ok(());
        }
        self.spawn()
    }

    fn spawn(&mut self) -> anyhow::Result<()> {
        self.restart_at = None;
        self.child = Some(self.spec.launch.spawn(&self.exe)?);
        self.life.started();
        self.probe_after(ASK_AGAIN);
        self.tell("");
        Ok(())
    }

    fn spawn_or_pause(&mut self) {
        if let Err(error) = self.spawn() {
            self.pause(&format!("{error:#}"));
        }
    }

    fn stop(&mut self, reply: Reply) {
        self.wanted = false;
        self.restart_at = None;
        if self.child.is_none() {
            self.stopped("");
            return answer(reply, Ok(()));
        }
        self.awaiting_stop.push(reply);
        if self.stop_by.is_none() {
            self.probing = None;
            self.stop_by = Some(Instant::now() + self.spec.stop_within);
            // The process alone is asked, so that it can end its own children
            // in order; a frozen one must be woken to hear it.
            let pid = self.pid().unwrap_or(Pid::this());
            if pid != Pid::this() && kill(pid, Signal::SIGTERM).is_ok() {
                self.signal_group(Signal::SIGCONT).ok();
            }
        }
    }

    fn stop_overdue(&mut self) {
        self.stop_by = None;
        self.events.note(format!(
            "{}: still there {} s after SIGTERM, killing it",
            self.spec.name,
            self.spec.stop_within.as_secs()
        ));
        self.signal_group(Signal::SIGKILL).ok();
    }

    fn exited(&mut self, status: &std::io::Result<ExitStatus>) {
        // Whatever it started goes with it.
        self.signal_group(Signal::SIGKILL).ok();
        self.child = None;
        self.probing = None;
        let was_stopping = self.stop_by.take().is_some() || !self.awaiting_stop.is_empty();
        let how = match status {
            Ok(status) => status.to_string(),
            Err(error) => format!("lost ({error})"),
        };
        match (self.wanted, was_stopping) {
            (false, _) => self.stopped(&how),
            (true, true) => self.spawn_or_pause(),
            (true, false) => self.pause(&how),
        }
        for reply in self.awaiting_stop.drain(..) {
            answer(reply, Ok(()));
        }
    }

    fn stopped(&mut self, how: &str) {
        self.life.stopped();
        self.tell(how);
    }

    fn pause(&mut self, why: &str) {
        let pause = self.life.died();
        self.restart_at = Some(Instant::now() + pause);
        let log = self.spec.launch.log.file_name().unwrap_or_default().display();
        self.tell(&format!("{why}; again in {:.1} s; logs/{log}", pause.as_secs_f32()));
    }

    fn probed(&mut self, answer: Result<(), Miss>) {
        let before = self.life.state;
        self.life.probed(answer.is_ok());
        if self.life.state != before {
            let port = format!("port {}", self.spec.port);
            self.tell(&answer.map_or_else(|miss| miss.0, |()| port));
        }
        let ready = self.life.state == State::Ready;
        self.probe_after(if ready { ASK_AGAIN_WHEN_READY } else { ASK_AGAIN });
    }

    fn probe_after(&mut self, pause: Duration) {
        let probe = self.spec.probe;
        self.probing = Some(Box::pin(async move {
            sleep(pause).await;
            probe.ask().await
        }));
    }

    fn tell(&self, detail: &str) {
        let state = self.life.state;
        let now = Status { state, pid: self.child.as_ref().and_then(Child::id) };
        // First the line, then the news: whoever waits for the state speaks after it.
        if self.status.borrow().state != state {
            self.events.send(Event::Moved {
                component: self.spec.name.clone(),
                state,
                detail: detail.to_owned(),
            });
        }
        self.status.send_replace(now);
    }

    fn pid(&self) -> Option<Pid> {
        let id = self.status.borrow().pid.filter(|_| self.child.is_some())?;
        i32::try_from(id).ok().map(Pid::from_raw)
    }

    fn signal_group(&self, signal: Signal) -> anyhow::Result<()> {
        let name = &self.spec.name;
        let pid = self.pid().ok_or_else(|| anyhow!("{name} is not running"))?;
        killpg(pid, signal).with_context(|| format!("{signal} cannot be sent to {name}"))
    }
}

async fn exit_of(child: Option<&mut Child>) -> std::io::Result<ExitStatus> {
    match child {
        Some(child) => child.wait().await,
        None => std::future::pending().await,
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

async fn end_of(probing: Option<&mut Probing>) -> Result<(), Miss> {
    match probing {
        Some(probing) => probing.await,
        None => std::future::pending().await,
    }
}

/// The asker may have gone away; then nobody needs the answer.
fn answer(reply: Reply, result: anyhow::Result<()>) {
    drop(reply.send(result));
}
