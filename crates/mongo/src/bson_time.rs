//! Dates and UUIDs as BSON.

use std::time::Duration;

use mongodb::bson::{self, Bson, DateTime};
use onboard_runtime::clock::{self, millis};
use uuid::Uuid;

/// A UUID as BSON (binary subtype 4).
#[must_use]
pub fn id(uuid: Uuid) -> Bson {
    bson::Uuid::from_bytes(uuid.into_bytes()).into()
}

/// The time of birth of a UUIDv7 (RFC 9562 section 5.7), in Unix ms; none for
/// another version.
#[must_use]
pub fn born_ms(id: Uuid) -> Option<i64> {
    let born_ms = i64::try_from(id.as_u128() >> 80).ok();
    born_ms.filter(|_| id.get_version_num() == 7)
}

/// Milliseconds since the Unix epoch as a BSON date.
#[must_use]
pub const fn date(ms: i64) -> DateTime {
    DateTime::from_millis(ms)
}

/// This long ago, by the clock of this process.
#[must_use]
pub fn earlier(age: Duration) -> DateTime {
    date(clock::now_ms().saturating_sub(millis(age)))
}
