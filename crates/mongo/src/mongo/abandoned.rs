//! Transactions whose caller has stopped waiting.
//!
//! The driver's future is dropped at a time-out, and with it an operation may be on
//! its way: the server begins or goes on with a transaction that nobody ends, and
//! what it has written is blocked for `transactionLifetimeLimitSeconds` (60 s). So the
//! session is ended on the server (`killSessions`), at once and again: an operation
//! that the server reads late must not begin the transaction anew. The session
//! is not given back to the driver's pool meanwhile.
//!
//! Only a process that dies here leaves what it had written blocked for those 60 s.

use std::time::Duration;

use mongodb::ClientSession;
use mongodb::bson::doc;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};

/// How often the server is told, and how long to wait in between.
const TOLD: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// How long one try may take.
const TRY: Duration = Duration::from_secs(1);
/// After this time the server has ended the transaction by itself.
const GIVE_UP: Duration = Duration::from_mins(1);

/// A session that is ended on the server when it is dropped before it was
/// [settled](Self::settle).
#[derive(Debug, Default)]
pub(super) struct Abandoned(Option<ClientSession>);

impl Abandoned {
    /// Takes the session; lends it.
    pub(super) fn hold(&mut self, session: ClientSession) -> &mut ClientSession {
        self.0.insert(session)
    }

    /// The transaction has been committed, or has ended without.
    pub(super) fn settle(mut self) {
        self.0 = None;
    }
}

impl Drop for Abandoned {
    fn drop(&mut self) {
        // Without a runtime the process is about to end.
        if let (Some(session), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(end(session));
        }
    }
}

async fn end(session: ClientSession) {
    let admin = session.client().database("admin");
    let kill = doc! { "killSessions": [session.id().clone()] };
    let (began, mut told) = (Instant::now(), 0);
    while told < TOLD && began.elapsed() < GIVE_UP {
        if let Ok(Ok(_)) = timeout(TRY, admin.run_command(kill.clone())).await {
            told += 1;
        }
        sleep(PAUSE).await;
    }
    tracing::debug!(told, "a transaction was given up");
}
