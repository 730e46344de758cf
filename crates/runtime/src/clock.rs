//! The one place that reads the wall clock and the random source.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::{NoContext, Timestamp, Uuid};

/// How far the clock of this process is wrong.
static AHEAD_MS: AtomicI64 = AtomicI64::new(0);

/// Milliseconds since the Unix epoch; MongoDB keeps no finer time.
#[must_use]
pub fn now_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    millis(now).saturating_add(AHEAD_MS.load(Ordering::Relaxed))
}

/// Sets the clock of this process wrong. Only the tests' program does it.
pub fn set_ahead(ms: i64) {
    AHEAD_MS.store(ms, Ordering::Relaxed);
}

/// A length of time in whole milliseconds.
#[must_use]
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A random id (UUIDv4).
#[must_use]
pub fn random_id() -> Uuid {
    Uuid::new_v4()
}

/// A random id that sorts by its time of birth (UUIDv7, RFC 9562).
#[must_use]
pub fn ordered_id() -> Uuid {
    if AHEAD_MS.load(Ordering::Relaxed) == 0 {
        return Uuid::now_v7();
    }
    let now_ms = u64::try_from(now_ms()).unwrap_or_default();
    Uuid::new_v7(Timestamp::from_unix(NoContext, now_ms / 1_000, 0))
}

/// A random number in `0.0..1.0`, for jitter.
#[must_use]
pub fn jitter() -> f64 {
    let bits = u32::try_from(random_id().as_u128() & 0xffff_ffff).unwrap_or_default();
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}
