//! How `down`, `status`, `stop`, `start` and `kill` reach the running `up`:
//! one JSON line each way over a Unix socket.
//!
//! A socket's path may be 108 bytes at most, a home's may be longer: so the
//! socket lies in the run directory under a name made from the home's path.
//! Both ends check that the other belongs to the same user.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;

use crate::home::Home;
use crate::stack::Stack;
use crate::state::Row;

const GONE_WITHIN: Duration = Duration::from_mins(2);

/// What a client asks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "lowercase")]
pub enum Request {
    /// Every component's state.
    Status,
    /// Stop everything and end.
    Down,
    /// Stop one gracefully and keep it stopped.
    Stop {
        /// Its name.
        component: String,
    },
    /// Start one, and wait until it is ready or waits for another one.
    Start {
        /// Its name.
        component: String,
    },
    /// Send SIGKILL to one; it is restarted.
    Kill {
        /// Its name.
        component: String,
    },
}

/// What the running `up` answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answer {
    /// Why not, when not.
    pub error: Option<String>,
    /// The process of `onboard up`.
    pub pid: u32,
    /// Every component's state after the act.
    pub components: Vec<Row>,
}

/// The listening end.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    down: Notify,
}

impl Control {
    /// Listens for the home's clients.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn listen(home: &Home) -> anyhow::Result<Self> {
        let path = socket_path(home.dir());
        // The home's lock is held: a socket of this name is a dead one.
        if path.exists() {
            std::fs::remove_file(&path)
                .with_context(|| format!("{} is in the way", path.display()))?;
        }
        let failed = || format!("the control socket {} cannot be made", path.display());
        let listener = UnixListener::bind(&path).with_context(failed)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
            .with_context(failed)?;
        Ok(Self { listener, path, down: Notify::new() })
    }

    /// Serves clients until dropped.
    pub async fn serve(&self, stack: &Stack) {
        let mut clients = futures::stream::FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => clients.push(self.client(stream, stack)),
                    Err(error) => {
                        tracing::warn!("the control socket does not accept: {error}");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                },
                Some(result) = futures::StreamExt::next(&mut clients) => {
                    if let Err(error) = result {
                        tracing::debug!("a control client went away: {error:#}");
                    }
                }
            }
        }
    }

    /// Waits until a client asks for the end.
    pub async fn asked_down(&self) {
        self.down.notified().await;
    }

    async fn client(&self, mut stream: UnixStream, stack: &Stack) -> anyhow::Result<()> {
        if stream.peer_cred()?.uid() != own_uid() {
            bail!("a client of another user");
        }
        let (reader, mut writer) = stream.split();
        let mut line = String::new();
        BufReader::new(reader).read_line(&mut line).await?;
        let error = match serde_json::from_str(&line) {
            Ok(request) => self.act(request, stack).await.err().map(|error| format!("{error:#}")),
            Err(error) => Some(format!("not a request: {error}")),
        };
        let answer = Answer { error, pid: std::process::id(), components: stack.rows() };
        let mut text = serde_json::to_string(&answer)?;
        text.push('\n');
        writer.write_all(text.as_bytes()).await?;
        Ok(())
    }

    async fn act(&self, request: Request, stack: &Stack) -> anyhow::Result<()> {
        match request {
            Request::Status => Ok(()),
            Request::Down => {
                self.down.notify_one();
                Ok(())
            }
            Request::Stop { component } => stack.find(&component)?.stop().await,
            Request::Start { component } => stack.start(&component).await,
            Request::Kill { component } => stack.find(&component)?.kill().await,
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // A socket left behind is removed by the next `up`.
        std::fs::remove_file(&self.path).ok();
    }
}

/// Asks the `up` that runs on `home`; `None` when none does.
///
/// # Errors
/// When it does not answer.
pub async fn ask(home: &Path, request: &Request) -> anyhow::Result<Option<Answer>> {
    let Ok(dir) = home.canonicalize() else {
        return Ok(None);
    };
    let Some(pid) = Home::holder(&dir) else {
        return Ok(None);
    };
    let path = socket_path(&dir);
    let mut stream = match UnixStream::connect(&path).await {
        Ok(stream) => stream,
        Err(_) if Home::holder(&dir).is_none() => return Ok(None),
        Err(_) => {
            bail!("`onboard up` (process {pid}) is still preparing or about to end; try again")
        }
    };
    if stream.peer_cred()?.uid() != own_uid() {
        bail!("{} belongs to another user", path.display());
    }
    let mut text = serde_json::to_string(request)?;
    text.push('\n');
    stream.write_all(text.as_bytes()).await.context("`onboard up` does not listen")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await.context("`onboard up` does not answer")?;
    serde_json::from_str(&line)
        .map(Some)
        .with_context(|| format!("`onboard up` (process {pid}) went away before it answered"))
}

/// Waits until no `up` holds `home`; false when one still does.
pub async fn gone(home: &Path) -> bool {
    let gone = async {
        while Home::holder(home).is_some() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(GONE_WITHIN, gone).await.is_ok()
}

fn socket_path(canonical_home: &Path) -> PathBuf {
    let digest = Sha256::digest(canonical_home.as_os_str().as_encoded_bytes());
    let short: u64 = digest.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
    run_dir().join(format!("onboard-{short:016x}.sock"))
}

fn run_dir() -> PathBuf {
    std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|dir| dir.is_dir() && dir.as_os_str().len() < 60)
        .unwrap_or_else(|| PathBuf::from("/tmp"))
}

fn own_uid() -> u32 {
    // Not the owner of /proc/self: of a process that is not dumpable that is root.
    rustix::process::getuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_path_is_short_however_long_the_home() {
        let home = PathBuf::from(format!("/{}", "long/".repeat(200)));
        assert!(socket_path(&home).as_os_str().len() < 100);
    }

    #[test]
    fn requests_are_tagged_lines() {
        let text = serde_json::to_string(&Request::Kill { component: "mongo".to_owned() }).unwrap();
        assert_eq!(text, r#"{"act":"kill","component":"mongo"}"#);
    }
}
