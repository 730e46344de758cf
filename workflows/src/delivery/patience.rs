//! How long a wait for an acknowledgement lasts. Pure: a replay computes the same.

use std::time::Duration;

use onboard_contract::EventId;

/// The wait doubles with every overdue check up to `cap`. From the second one on it is
/// up to a quarter longer, by the event's id: registrations of one moment do not look
/// at one moment for ever.
pub(crate) fn patience(base: Duration, checks: u32, cap: Duration, event: EventId) -> Duration {
    let doubled = base.saturating_mul(2_u32.saturating_pow(checks.min(20)));
    let wait = doubled.min(cap.max(base));
    if checks == 0 {
        return wait;
    }
    (wait / 4 / 0x1_0000).saturating_mul(part_of(event, checks)).saturating_add(wait)
}

/// 16 of the random bits of a UUIDv7, other ones for the next check.
fn part_of(event: EventId, checks: u32) -> u32 {
    let bits = event.uuid().as_u128() >> (checks % 3 * 16);
    u32::try_from(bits & 0xffff).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const CAP: Duration = Duration::from_hours(6);

    fn waits(checks: u32, base: Duration) -> Vec<Duration> {
        let event = |number: u128| Uuid::from_u128(number * 0x1234_5678_9abc_def1).into();
        (1..50).map(|number| patience(base, checks, CAP, event(number))).collect()
    }

    #[test]
    fn the_wait_doubles_up_to_its_cap_and_is_spread_by_a_quarter() {
        let base = Duration::from_secs(30);
        assert!(waits(0, base).iter().all(|wait| *wait == base), "the first one is exact");
        for (checks, least_s) in [(1, 60), (5, 960), (20, 21_600), (u32::MAX, 21_600)] {
            let (least, waits) = (Duration::from_secs(least_s), waits(checks, base));
            assert!(waits.iter().all(|wait| *wait >= least && *wait <= least + least / 4));
            let distinct: std::collections::HashSet<_> = waits.iter().collect();
            assert!(distinct.len() > 40, "{checks}: {waits:?}");
        }
    }

    #[test]
    fn no_base_is_too_long() {
        let longest = Duration::from_millis(u64::MAX);
        assert!(waits(7, longest).iter().all(|wait| *wait >= longest));
    }
}
