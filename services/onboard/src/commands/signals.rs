//! The signals that ask a long-running command to stop.

use anyhow::Context as _;
use onboard_stack::Stack;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ctrl-C, SIGTERM, and a terminal that went away.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be heard");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Stops everything in order, or at once when another signal comes first;
    /// false when it was not in order.
    pub(crate) async fn drain(&mut self, stack: &Stack) -> anyhow::Result<bool> {
        let mut drain = std::pin::pin!(stack.drain());
        tokio::select! {
            drained = &mut drain => drained.map(|()| true),
            _ = self.next() => tokio::join!(stack.kill_all(), drain).1.map(|()| false),
        }
    }

    /// The name of the next one.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}
