//! The time of a MongoDB server, as this process knows it between two questions.
//!
//! Leases, due times and removals are judged by the server's clock, which all
//! processes share. An update writes `$$NOW`, and a filter needs a value: this
//! clock asks the primary for its time and goes on from there by the monotonic
//! clock, so a process whose own clock is wrong, or jumps, judges as the others do.
//! Nothing is written, so a process that dies here has changed nothing.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mongodb::Database;
use mongodb::bson::doc;
use onboard_runtime::clock;
use tokio::time::Instant;

use crate::StoreError;
use crate::mongo::bounded;

/// After this the server is asked again: its clock may have been set, or another
/// member may be the primary.
const FRESH: Duration = Duration::from_secs(10);
/// A process whose clock and the server's differ by more than this removes nothing:
/// one of them is wrong, and nobody knows which.
pub const CLOCKS_DIFFER_MAX: Duration = Duration::from_mins(1);

/// What the server said last.
#[derive(Debug, Clone, Copy)]
struct Answer {
    server_ms: i64,
    at: Instant,
}

/// The clock of one server.
#[derive(Debug, Default)]
pub struct ServerClock(Mutex<Option<Answer>>);

impl ServerClock {
    /// The server's time, in ms since the Unix epoch.
    ///
    /// # Errors
    /// The server had to be asked and did not answer.
    pub async fn now_ms(&self, database: &Database) -> Result<i64, StoreError> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.filter(|known| known.at.elapsed() < FRESH) {
            Some(known) => Ok(known.now_ms()),
            None => self.ask(database).await,
        }
    }

    /// The server's time for a removal.
    ///
    /// # Errors
    /// The server did not answer, or its clock and the clock of this process differ
    /// by more than [`CLOCKS_DIFFER_MAX`].
    pub async fn now_ms_for_removal(&self, database: &Database) -> Result<i64, StoreError> {
        let server_ms = self.now_ms(database).await?;
        let ahead_ms = server_ms.saturating_sub(clock::now_ms());
        if u128::from(ahead_ms.unsigned_abs()) > CLOCKS_DIFFER_MAX.as_millis() {
            return Err(StoreError::ClocksDiffer { ahead_ms });
        }
        Ok(server_ms)
    }

    async fn ask(&self, database: &Database) -> Result<i64, StoreError> {
        const WHAT: &str = "tell its time";
        let begun = Instant::now();
        let hello =
            bounded(WHAT, async { database.run_command(doc! { "hello": 1 }).await }).await?;
        // It read its clock somewhere on the way.
        let at = begun + begun.elapsed() / 2;
        let local = hello.get_datetime("localTime");
        let server_ms = local.map_err(|_| StoreError::TimedOut { what: WHAT })?.timestamp_millis();
        let answer = Answer { server_ms, at };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        Ok(answer.now_ms())
    }
}

impl Answer {
    fn now_ms(self) -> i64 {
        self.server_ms.saturating_add(clock::millis(self.at.elapsed()))
    }
}
