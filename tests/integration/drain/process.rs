//! One service as a process that nobody supervises, so that its end is its own.

use std::fs::File;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use onboard_stack::ports::Lease;
use tokio::process::Child;
use tokio::sync::oneshot;

use crate::harness::{App, eventually};

pub(super) struct Process {
    child: Child,
    url: String,
    log: tempfile::NamedTempFile,
    _lease: Lease,
}

impl Process {
    /// Starts a service of the application and waits until it is ready.
    pub(super) async fn start(app: &App, service: &str, env: &[(&str, &str)]) -> Self {
        let (lease, log) = (Lease::any().unwrap(), tempfile::NamedTempFile::new().unwrap());
        let address = format!("127.0.0.1:{}", lease.port());
        let child = app
            .command(&[service])
            .env("ONBOARD_HTTP_ADDRESS", &address)
            .env("JWKS_URL", format!("{}/.well-known/jwks.json", app.url("auth")))
            .envs(env.iter().copied())
            .stderr(File::create(log.path()).unwrap())
            .spawn()
            .unwrap();
        let process = Self { child, url: format!("http://{address}"), log, _lease: lease };
        eventually("it is ready", async || {
            match app.http.get(format!("{}/readyz", process.url)).send().await {
                Ok(answer) if answer.status() == 200 => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        process
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Sends SIGTERM and waits for the end, which must be a good one and come
    /// within `most`. How long it took, and what the process wrote.
    pub(super) async fn stop(self, most: Duration) -> (Duration, String) {
        self.stop_and_say(most, oneshot::channel().0).await
    }

    /// The same; says when the signal is sent.
    pub(super) async fn stop_and_say(
        mut self,
        most: Duration,
        sent: oneshot::Sender<()>,
    ) -> (Duration, String) {
        let begun = Instant::now();
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
        sent.send(()).ok();
        let ended = tokio::time::timeout(most, self.child.wait()).await;
        let said = std::fs::read_to_string(self.log.path()).unwrap();
        let ended = ended.unwrap_or_else(|_| panic!("not gone after {most:?}: {said}")).unwrap();
        assert_eq!(ended.code(), Some(0), "{said}");
        (begun.elapsed(), said)
    }
}
