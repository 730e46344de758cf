//! The real servers: one set shared by most tests, or a set of one's own.

use std::ops::Deref;
use std::path::PathBuf;

use onboard_stack::{Server, Servers, ServersConfig};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// The program under test.
pub(crate) const ONBOARD: &str = env!("CARGO_BIN_EXE_onboard-under-test");

static SHARED: OnceCell<Servers> = OnceCell::const_new();

/// The servers that tests share. They end with the test process.
pub(crate) async fn shared_servers() -> &'static Servers {
    SHARED
        .get_or_init(async || {
            let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("shared-servers");
            start(ServersConfig::all(home, ONBOARD.into())).await
        })
        .await
}

/// Servers of one test alone, to be broken. The data of a test that fails is
/// kept and named.
pub(crate) struct Own {
    servers: Servers,
    home: Option<TempDir>,
}

/// Starts servers of one's own.
pub(crate) async fn own_servers(which: &[Server]) -> Own {
    let home = tempfile::Builder::new().prefix("onboard-test-").tempdir().unwrap();
    let config = ServersConfig {
        servers: which.into(),
        ..ServersConfig::all(home.path().into(), ONBOARD.into())
    };
    Own { servers: start(config).await, home: Some(home) }
}

async fn start(config: ServersConfig) -> Servers {
    Servers::start(config).await.expect("the servers start")
}

impl Deref for Own {
    type Target = Servers;

    fn deref(&self) -> &Servers {
        &self.servers
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(home) = self.home.take()
        {
            eprintln!("the servers' data and logs are kept in {}", home.keep().display());
        }
    }
}
