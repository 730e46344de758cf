//! What can go wrong with the store, and whether trying again can help.

use std::fmt;

use mongodb::error::{Error, ErrorKind, WriteFailure};
use onboard_runtime::Plain;

use crate::field::Malformed;

/// An operation on the store failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// MongoDB is away, electing, or asked to be tried again. Retryable.
    #[error("MongoDB could not {what}")]
    Unavailable {
        /// The operation, as a verb.
        what: &'static str,
        /// The driver's error.
        #[source]
        source: Error,
    },
    /// No answer in time; whether the operation took effect is unknown.
    /// Retryable, since every operation may be repeated.
    #[error("MongoDB did not {what} in time")]
    TimedOut {
        /// The operation, as a verb.
        what: &'static str,
    },
    /// MongoDB refused the operation, and will again. Permanent.
    #[error("MongoDB refused to {what}")]
    Refused {
        /// The operation, as a verb.
        what: &'static str,
        /// The driver's error.
        #[source]
        source: Error,
    },
    /// Nothing is removed, since this process or the server has a wrong time.
    /// Retryable: somebody sets the clock.
    #[error(
        "nothing is removed: MongoDB's clock is {ahead_ms} ms ahead of the clock of this process"
    )]
    ClocksDiffer {
        /// How far the server's clock is ahead, in ms; below 0 when it is behind.
        ahead_ms: i64,
    },
    /// The document is there and cannot be read. Permanent.
    #[error("the document is corrupt: could not {what}")]
    Corrupt {
        /// The operation, as a verb.
        what: &'static str,
        /// The field that is missing or of another type, or the driver's error.
        #[source]
        source: Error,
    },
}

impl StoreError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::TimedOut { .. } | Self::ClocksDiffer { .. } => true,
            Self::Refused { .. } | Self::Corrupt { .. } => false,
        }
    }

    /// A document without a field that the operation needs.
    #[must_use]
    pub fn corrupt(what: &'static str, malformed: Malformed) -> Self {
        Self::Corrupt { what, source: Error::custom(malformed.to_string()) }
    }

    /// What the driver's error says about `what`, a verb.
    #[must_use]
    pub fn from_driver(what: &'static str, source: Error) -> Self {
        match source.kind.as_ref() {
            ErrorKind::BsonDeserialization(_) | ErrorKind::Bson(_) => Self::Corrupt {
                what,
                source: Error::custom("a field is missing or of another type".to_owned()),
            },
            ErrorKind::InvalidArgument { .. } | ErrorKind::BsonSerialization(_) => Self::Refused {
                what,
                source: Error::custom("the document cannot be written".to_owned()),
            },
            ErrorKind::Custom(why) if why.is::<Refusal>() => Self::Refused { what, source },
            _ if code(&source).is_some_and(is_permanent) => {
                Self::Refused { what, source: without_values(source) }
            }
            // Anything else (network, election, pool, unknown codes) may pass:
            // the safe side of an unknown error is to try again and be seen.
            _ => Self::Unavailable { what, source: without_values(source) },
        }
    }
}

impl Plain for StoreError {
    fn words(&self) -> String {
        match self {
            Self::Unavailable { what, source } | Self::Refused { what, source } => {
                words(&format!("MongoDB could not {what}"), source)
            }
            Self::Corrupt { source, .. } => words(&self.to_string(), source),
            Self::TimedOut { .. } | Self::ClocksDiffer { .. } => self.to_string(),
        }
    }

    fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Unavailable { source, .. } | Self::Refused { source, .. } => remedy(source),
            Self::TimedOut { .. } => Some(START),
            Self::ClocksDiffer { .. } | Self::Corrupt { .. } => None,
        }
    }
}

const START: &str = "start MongoDB, or mend MONGODB_URI or the network";

/// What failed, and why, in words without the driver's own.
#[must_use]
pub fn words(failed: &str, error: &Error) -> String {
    match error.kind.as_ref() {
        ErrorKind::ServerSelection { .. } => {
            "MongoDB does not answer: no primary can be reached".to_owned()
        }
        ErrorKind::Authentication { .. } => {
            "MongoDB refuses the user or the password of MONGODB_URI".to_owned()
        }
        ErrorKind::DnsResolve { .. } => {
            "the host in MONGODB_URI has no address that can be found".to_owned()
        }
        ErrorKind::Command(command) => {
            format!("{failed}: server error {} {}", command.code, command.code_name)
        }
        ErrorKind::Io(error) => format!("{failed}: {}", error.kind()),
        ErrorKind::ConnectionPoolCleared { .. } => format!("{failed}: the connection was lost"),
        // The driver's words are left out: they may repeat a part of the password.
        ErrorKind::InvalidArgument { .. } => {
            format!("{failed}: MONGODB_URI is no valid connection string")
        }
        ErrorKind::Custom(_) => match error.get_custom::<String>() {
            Some(why) => format!("{failed}: {why}"),
            None => failed.to_owned(),
        },
        _ => match code(error) {
            Some(code) => format!("{failed}: server error {code}"),
            None => failed.to_owned(),
        },
    }
}

/// What can be done about an error of the driver.
#[must_use]
pub fn remedy(error: &Error) -> Option<&'static str> {
    match error.kind.as_ref() {
        ErrorKind::ServerSelection { .. } | ErrorKind::Io(_) => Some(START),
        ErrorKind::ConnectionPoolCleared { .. } => Some("run it again"),
        ErrorKind::Authentication { .. } => Some("give those of a user that MongoDB knows"),
        ErrorKind::DnsResolve { .. } => Some("mend MONGODB_URI or the network's name server"),
        _ => None,
    }
}

/// Why this program itself refuses a write, inside a transaction.
#[derive(Debug)]
struct Refusal(&'static str);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// An error that ends a transaction and is permanent.
#[must_use]
pub fn refusal(why: &'static str) -> Error {
    Error::custom(Refusal(why))
}

/// Server and decoder quote the values they do not like, and those may be
/// personal data: only the code goes on to logs and histories.
fn without_values(error: Error) -> Error {
    match (error.kind.as_ref(), code(&error)) {
        (ErrorKind::Command(command), Some(code)) => {
            Error::custom(format!("server error {code} {}", command.code_name))
        }
        (_, Some(code)) => Error::custom(format!("server error {code}")),
        (_, None) => error,
    }
}

/// The server's error code, wherever the driver put it.
#[must_use]
pub fn code(error: &Error) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => Some(concern.code),
        ErrorKind::InsertMany(many) => {
            let write = many.write_errors.iter().flatten().map(|write| write.code);
            write.chain(many.write_concern_error.iter().map(|concern| concern.code)).next()
        }
        _ => None,
    }
}

/// Whether a unique index refused the write (`DuplicateKey`).
#[must_use]
pub fn is_duplicate_key(error: &Error) -> bool {
    code(error) == Some(11_000)
}

/// Whether another transaction has written the same document (`WriteConflict`).
#[must_use]
pub fn is_write_conflict(error: &Error) -> bool {
    code(error) == Some(112)
}

/// `BadValue`, `FailedToParse`, `TypeMismatch`, `DocumentValidationFailure`,
/// `BSONObjectTooLarge`. A missing right (`Unauthorized`) is not among them: it
/// says nothing about the document, and an operator gives it back.
const fn is_permanent(code: i32) -> bool {
    matches!(code, 2 | 9 | 14 | 121 | 10_334)
}
