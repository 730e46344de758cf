//! How long inbox records are kept.

use std::time::Duration;

use onboard_runtime::Problems;

const DAY: Duration = Duration::from_hours(24);

/// `INBOX_RETENTION`: how long inbox records are kept, 14 d to 7300 d, and at
/// least a week longer than the rows, which they must outlive.
pub fn inbox_retention(problems: &mut Problems, value: Option<&str>, outbox: Duration) -> Duration {
    let kept = problems.duration_or("INBOX_RETENTION", value, DAY * 180, DAY * 14..=DAY * 7300);
    if kept < outbox + DAY * 7 {
        problems.push("INBOX_RETENTION", "must be at least 7 d longer than OUTBOX_RETENTION");
    }
    kept
}
