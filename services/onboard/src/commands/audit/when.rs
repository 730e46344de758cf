//! Durations and times as they are written on the command line.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use onboard_runtime::clock::millis;

/// Since when registrations are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// So long ago.
    Ago(Duration),
    /// A time.
    At(SystemTime),
}

impl Since {
    /// In ms since the Unix epoch.
    pub(crate) fn ms(self, now_ms: i64) -> i64 {
        match self {
            Self::Ago(ago) => now_ms.saturating_sub(millis(ago)),
            Self::At(at) => millis(at.duration_since(UNIX_EPOCH).unwrap_or_default()),
        }
    }
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "write for example 90s, 5m or 2h".to_owned())
}

pub(crate) fn since(text: &str) -> Result<Since, String> {
    let ago = humantime::parse_duration(text).map(Since::Ago);
    let at = || humantime::parse_rfc3339_weak(text).map(Since::At);
    ago.or_else(|_| at()).map_err(|_| "write for example 2h, 7d or 2026-01-31T12:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_duration_back_or_a_time() {
        assert_eq!(since("2h").unwrap().ms(10_000_000), 10_000_000 - 7_200_000);
        assert_eq!(since("1970-01-01T00:01:00Z").unwrap().ms(0), 60_000);
        assert!(since("yesterday").is_err());
        assert!(duration("5").is_err());
    }
}
