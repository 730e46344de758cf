//! Which registrations are judged.

use onboard_runtime::clock;

use crate::audit::Options;

/// Bounds on when something was created.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "the unit comes last")]
pub(crate) struct Scope {
    since_ms: i64,
    /// Younger than this is in flight.
    pub(crate) until_ms: i64,
    /// When the audit began.
    pub(crate) now_ms: i64,
}

/// What the scope says about something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// From before `since`.
    Before,
    /// To be judged.
    Judged,
    /// Younger than the grace.
    InFlight,
}

impl Scope {
    pub(crate) fn new(options: &Options, now_ms: i64) -> Self {
        let grace_ms = clock::millis(options.grace);
        Self {
            since_ms: options.since_ms.unwrap_or(i64::MIN),
            until_ms: now_ms.saturating_sub(grace_ms),
            now_ms,
        }
    }

    /// By the time of creation. What has none is judged: it is damaged.
    pub(crate) fn age(&self, created_at_ms: Option<i64>) -> Age {
        match created_at_ms {
            Some(created) if created < self.since_ms => Age::Before,
            Some(created) if created > self.until_ms => Age::InFlight,
            Some(_) | None => Age::Judged,
        }
    }

    /// Whether it is to be judged.
    pub(crate) fn judges(&self, created_at_ms: Option<i64>) -> bool {
        self.age(created_at_ms) == Age::Judged
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_what_lies_between_since_and_grace_is_judged() {
        let options =
            Options { since_ms: Some(1_000), grace: Duration::from_mins(1), ..Options::default() };
        let scope = Scope::new(&options, 100_000);
        for (created, age) in [
            (Some(999), Age::Before),
            (Some(1_000), Age::Judged),
            (Some(40_000), Age::Judged),
            (Some(40_001), Age::InFlight),
            (None, Age::Judged),
        ] {
            assert_eq!(scope.age(created), age, "{created:?}");
        }
    }
}
