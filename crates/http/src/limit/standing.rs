//! How a client stands with a limit, in the headers of
//! draft-ietf-httpapi-ratelimit-headers: `RateLimit-Policy: "login";q=30;w=60`
//! and `RateLimit: "login";r=0;t=2`.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::{Level, Rate};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// A limit's name and rate, and what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    policy: &'static str,
    quota: u32,
    window_s: u32,
    remaining: u32,
    reset_s: u32,
}

impl Standing {
    /// How `level` stands with the policy's rate. The name goes into a header
    /// as it is: lower-case letters and dashes.
    #[must_use]
    pub fn new(policy: &'static str, rate: Rate, level: Level) -> Self {
        let reset = if level.remaining == 0 { level.next_in } else { level.full_in };
        Self {
            policy,
            quota: rate.quota,
            window_s: whole_seconds(rate.window),
            remaining: level.remaining,
            reset_s: whole_seconds(reset),
        }
    }

    /// The policy's name.
    #[must_use]
    pub const fn policy(&self) -> &'static str {
        self.policy
    }

    /// Whole seconds after which one more is allowed; at least one.
    #[must_use]
    pub fn retry_after_s(&self) -> u32 {
        self.reset_s.max(1)
    }

    /// Adds the two headers. Both are lists, so an answer can tell of several
    /// limits.
    pub(crate) fn add_to(&self, headers: &mut HeaderMap) {
        let Self { policy, quota, window_s, remaining, reset_s } = self;
        let values = [
            (POLICY, format!("\"{policy}\";q={quota};w={window_s}")),
            (STANDING, format!("\"{policy}\";r={remaining};t={reset_s}")),
        ];
        for (name, value) in values {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.append(name, value);
            }
        }
    }
}

/// Rounded up: a client that waits for them does not come too early.
fn whole_seconds(time: Duration) -> u32 {
    u32::try_from(time.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(remaining: u32, next_ms: u64, full_ms: u64) -> (u32, String, String) {
        let level = Level {
            remaining,
            next_in: Duration::from_millis(next_ms),
            full_in: Duration::from_millis(full_ms),
        };
        let standing = Standing::new("login", Rate::new(30, Duration::from_mins(1)), level);
        let mut headers = HeaderMap::new();
        standing.add_to(&mut headers);
        let text = |name: &HeaderName| headers[name].to_str().unwrap().to_owned();
        (standing.retry_after_s(), text(&POLICY), text(&STANDING))
    }

    #[test]
    fn the_headers_are_those_of_the_draft() {
        let policy = r#""login";q=30;w=60"#;
        let (_, said, standing) = headers(29, 0, 2000);
        assert_eq!((said.as_str(), standing.as_str()), (policy, r#""login";r=29;t=2"#));
        let (retry_after, _, standing) = headers(0, 1001, 60_000);
        assert_eq!((retry_after, standing.as_str()), (2, r#""login";r=0;t=2"#));
        assert_eq!(headers(0, 0, 60_000).0, 1, "never zero");
    }
}
