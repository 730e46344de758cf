//! The one place that reads the wall clock and the random source.

use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;

/// Milliseconds since the Unix epoch; MongoDB keeps no finer time.
#[must_use]
pub fn now_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// A random id (UUIDv4).
#[must_use]
pub fn random_id() -> Uuid {
    Uuid::new_v4()
}

/// A random id that sorts by its time of birth (UUIDv7, RFC 9562).
#[must_use]
pub fn ordered_id() -> Uuid {
    Uuid::now_v7()
}

/// A random number in `0.0..1.0`, for jitter.
#[must_use]
pub fn jitter() -> f64 {
    let bits = u32::try_from(random_id().as_u128() & 0xffff_ffff).unwrap_or_default();
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}
