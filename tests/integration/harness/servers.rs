//! The real servers: one set shared by most tests, or a set of one's own.

use std::ops::Deref;
use std::path::PathBuf;

use mongodb::Client;
use mongodb::bson::doc;
use onboard_stack::{Server, Servers, ServersConfig};
use tokio::sync::OnceCell;

use super::costs::{Phase, phase};
use super::home::Home;

/// The program under test.
pub(crate) const ONBOARD: &str = env!("CARGO_BIN_EXE_onboard-under-test");

static SHARED: OnceCell<Servers> = OnceCell::const_new();

/// The servers that tests share. They end with the test process.
pub(crate) async fn shared_servers() -> &'static Servers {
    SHARED
        .get_or_init(async || {
            let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("shared-servers");
            let servers = start(ServersConfig::all(home, ONBOARD.into())).await;
            forget_transactions_soon(&servers).await;
            servers
        })
        .await
}

/// The servers that tests share, once they run.
pub(super) fn shared() -> Option<&'static Servers> {
    SHARED.get()
}

/// A process that is killed in a transaction leaves it open: MongoDB gives it up
/// after a minute by default, and until then neither can the row be written nor
/// the database be dropped. Here after 10 s, twice what the longest may last.
async fn forget_transactions_soon(servers: &Servers) {
    // Directly, for there is no replica set before somebody initiates it.
    let uri = format!("mongodb://127.0.0.1:{}/?directConnection=true", servers.ports().mongo);
    let client = Client::with_uri_str(uri).await.unwrap();
    let lifetime = doc! { "setParameter": 1, "transactionLifetimeLimitSeconds": 10 };
    client.database("admin").run_command(lifetime).await.unwrap();
}

/// Servers of one test alone, to be broken.
pub(crate) struct Own {
    servers: Servers,
    _home: Home,
}

/// Starts servers of one's own.
pub(crate) async fn own_servers(which: &[Server]) -> Own {
    let home = Home::new("test");
    let config = ServersConfig {
        servers: which.into(),
        ..ServersConfig::all(home.path().into(), ONBOARD.into())
    };
    Own { servers: start(config).await, _home: home }
}

async fn start(config: ServersConfig) -> Servers {
    phase(Phase::Servers, Servers::start(config)).await.expect("the servers start")
}

impl Deref for Own {
    type Target = Servers;

    fn deref(&self) -> &Servers {
        &self.servers
    }
}
