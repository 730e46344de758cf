//! Why a body is no event that this build understands.
//!
//! Nothing here runs, so nothing is lost when a process dies.

use onboard_json::{MemberError, ObjectError};

/// The largest body a consumer looks at, in bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// Why a body is not an event this build understands. Permanent: the same
/// bytes will never parse, so the message belongs among the dead letters.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Larger than [`BODY_BYTES_MAX`].
    #[error("the body has more than {BODY_BYTES_MAX} bytes")]
    TooLarge,
    /// Not JSON.
    #[error("the body is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// JSON, but not an object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// Another kind of event.
    #[error("the event type is another one")]
    UnknownType,
    /// A version this build does not know.
    #[error("this build does not know the schema version")]
    UnknownVersion,
    /// A field is missing, there more than once, or of the wrong type.
    #[error(transparent)]
    Field(#[from] MemberError),
    /// A field is missing that only a message published by hand may lack.
    #[error("the body lacks a field that its row must have")]
    Incomplete,
}

impl EventError {
    /// A short constant word for headers, logs and metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::NotJson(_) => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::UnknownType => "unknown_type",
            Self::UnknownVersion => "unknown_version",
            Self::Field(_) | Self::Incomplete => "bad_fields",
        }
    }
}

impl From<ObjectError> for EventError {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::NotJson(source) => Self::NotJson(source),
            ObjectError::NotAnObject => Self::NotAnObject,
        }
    }
}
