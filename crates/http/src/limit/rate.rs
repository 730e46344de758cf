//! How often: `30/1m` is a bucket of 30 that refills within a minute.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

const QUOTA: RangeInclusive<u32> = 1..=1_000_000;
const WINDOW: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);

/// A bucket's size and the time in which it refills from empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many at once.
    pub quota: u32,
    /// The time in which as many come back.
    pub window: Duration,
}

impl Rate {
    /// A rate.
    #[must_use]
    pub const fn new(quota: u32, window: Duration) -> Self {
        Self { quota, window }
    }

    /// So many times as often.
    #[must_use]
    pub const fn times(self, times: u32) -> Self {
        Self { quota: self.quota.saturating_mul(times), window: self.window }
    }

    /// The time in which one comes back.
    #[must_use]
    pub fn each(self) -> Duration {
        self.window / self.quota.max(1)
    }
}

/// A rate, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `off`.
    Off,
    /// At most this often.
    At(Rate),
}

impl Limit {
    /// At most `quota` in `window`.
    #[must_use]
    pub const fn at(quota: u32, window: Duration) -> Self {
        Self::At(Rate::new(quota, window))
    }
}

/// A text is not a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Not of the form.
    #[error("is neither off nor of the form 30/1m (how many, and the time that refills as many)")]
    Form,
    /// Too few or too many.
    #[error("the number must lie between 1 and 1000000")]
    Quota,
    /// Too short or too long.
    #[error("the time must lie between 1s and 24h")]
    Window,
}

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let (quota, window) = text.split_once('/').ok_or(LimitError::Form)?;
        let quota: u32 = quota.trim().parse().map_err(|_| LimitError::Form)?;
        let window = humantime::parse_duration(window.trim()).map_err(|_| LimitError::Form)?;
        match (QUOTA.contains(&quota), WINDOW.contains(&window)) {
            (true, true) => Ok(Self::at(quota, window)),
            (false, _) => Err(LimitError::Quota),
            (true, false) => Err(LimitError::Window),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_from_text() {
        let second = Duration::from_secs(1);
        let table = [
            ("off", Ok(Limit::Off)),
            ("30/1m", Ok(Limit::at(30, second * 60))),
            (" 1 / 24h ", Ok(Limit::at(1, second * 86_400))),
            ("1000000/1s", Ok(Limit::at(1_000_000, second))),
            ("", Err(LimitError::Form)),
            ("OFF", Err(LimitError::Form)),
            ("30", Err(LimitError::Form)),
            ("30/", Err(LimitError::Form)),
            ("30/60", Err(LimitError::Form)),
            ("-1/1m", Err(LimitError::Form)),
            ("0/1m", Err(LimitError::Quota)),
            ("1000001/1m", Err(LimitError::Quota)),
            ("1/999ms", Err(LimitError::Window)),
            ("1/25h", Err(LimitError::Window)),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse(), expected, "{text:?}");
        }
        assert_eq!(Rate::new(30, second * 60).each(), second * 2);
    }
}
