//! W3C Trace Context: the one header value that joins a registration's spans.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A valid `traceparent` (W3C Trace Context, section 3.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceParent(String);

/// The text is not a `traceparent`.
#[derive(Debug, thiserror::Error)]
#[error("not a W3C traceparent (00-<32 hex>-<16 hex>-<2 hex>)")]
pub struct InvalidTraceParent;

impl TraceParent {
    /// Parses a header value. An invalid one is to be ignored, so says the
    /// standard; callers turn the `Err` into "start a new trace".
    ///
    /// # Errors
    /// The value is malformed, or an id in it is all zeros.
    pub fn parse(value: &str) -> Result<Self, InvalidTraceParent> {
        let parts: Vec<&str> = value.split('-').collect();
        let [version, trace, span, flags] = parts.as_slice() else {
            return Err(InvalidTraceParent);
        };
        let valid =
            *version == "00" && is_id(trace, 32) && is_id(span, 16) && is_lower_hex(flags, 2);
        if valid { Ok(Self(value.to_owned())) } else { Err(InvalidTraceParent) }
    }

    /// Builds a sampled one from random bits.
    #[must_use]
    pub fn from_random(trace: u128, span: u64) -> Self {
        Self::new(trace, span, true)
    }

    /// Builds one from its parts; an id of zero, which is none, becomes one.
    #[must_use]
    pub fn new(trace: u128, span: u64, sampled: bool) -> Self {
        let flags = u8::from(sampled);
        Self(format!("00-{:032x}-{:016x}-{flags:02x}", trace.max(1), span.max(1)))
    }

    /// The header value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The trace id, 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        self.0.get(3..35).unwrap_or_default()
    }

    /// The id of the span that it names, 16 hexadecimal digits.
    #[must_use]
    pub fn span_id(&self) -> &str {
        self.0.get(36..52).unwrap_or_default()
    }

    /// Whether the caller records the trace.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        let flags = self.0.get(53..).and_then(|flags| u8::from_str_radix(flags, 16).ok());
        flags.is_some_and(|flags| flags & 1 == 1)
    }
}

fn is_id(text: &str, digits: usize) -> bool {
    is_lower_hex(text, digits) && text.bytes().any(|b| b != b'0')
}

fn is_lower_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl TryFrom<String> for TraceParent {
    type Error = InvalidTraceParent;

    fn try_from(value: String) -> Result<Self, Self::Error> {
        Self::parse(&value)
    }
}

impl From<TraceParent> for String {
    fn from(value: TraceParent) -> Self {
        value.0
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standards_example_parses() {
        let value = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parsed = TraceParent::parse(value).unwrap();
        assert_eq!(parsed.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parsed.span_id(), "00f067aa0ba902b7");
        assert!(parsed.is_sampled());
        assert_eq!(parsed.as_str(), value);
    }

    #[test]
    fn only_the_lowest_flag_says_that_it_is_sampled() {
        for (flags, sampled) in [("00", false), ("01", true), ("02", false), ("ff", true)] {
            let text = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
            assert_eq!(TraceParent::parse(&text).unwrap().is_sampled(), sampled, "{flags}");
        }
        assert!(!TraceParent::new(1, 2, false).is_sampled());
    }

    #[test]
    fn malformed_values_are_refused() {
        for value in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            assert!(TraceParent::parse(value).is_err(), "{value:?}");
        }
    }
}
