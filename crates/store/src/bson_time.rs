//! Dates and UUIDs as BSON.

use mongodb::bson::{self, Bson, DateTime};
use uuid::Uuid;

/// A UUID as BSON (binary subtype 4).
#[must_use]
pub fn id(uuid: Uuid) -> Bson {
    bson::Uuid::from_bytes(uuid.into_bytes()).into()
}

/// The time of birth of a UUIDv7 (RFC 9562 section 5.7), in Unix ms; none for
/// another version.
pub(crate) fn born_ms(id: Uuid) -> Option<i64> {
    let born_ms = i64::try_from(id.as_u128() >> 80).ok();
    born_ms.filter(|_| id.get_version_num() == 7)
}

/// Milliseconds since the Unix epoch as a BSON date.
#[must_use]
pub const fn date(ms: i64) -> DateTime {
    DateTime::from_millis(ms)
}
