//! Times as people and programs read them.

use mongodb::bson::DateTime;
use serde::Serializer;

/// Milliseconds since the Unix epoch as RFC 3339.
pub(crate) fn rfc3339(ms: i64) -> String {
    DateTime::from_millis(ms).try_to_rfc3339_string().unwrap_or_default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this")]
pub(crate) fn at<S: Serializer>(ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*ms))
}

#[expect(clippy::ref_option, reason = "serde asks for this")]
pub(crate) fn maybe<S: Serializer>(ms: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    match ms {
        Some(ms) => serializer.serialize_str(&rfc3339(*ms)),
        None => serializer.serialize_none(),
    }
}
