//! The events whose acknowledgement the server has not answered: each waits by itself.
//!
//! Several in a row may mean that the server is away: then they have not failed for a
//! reason of their own, and are forgotten. A new process knows none and tries each again.

use std::time::Duration;

use onboard_contract::EventId;
use onboard_runtime::Waits;

/// So many different events are not answered one after the other before the server may
/// be away.
const DIFFERENT: usize = 3;
const WAIT_FIRST: Duration = Duration::from_secs(5);
const WAIT_MAX: Duration = Duration::from_mins(5);

/// Which events wait, and who was not answered last.
#[derive(Debug)]
pub(super) struct Unanswered {
    waits: Waits<EventId>,
    /// Those since the server has answered for one.
    row: Vec<EventId>,
}

impl Default for Unanswered {
    fn default() -> Self {
        Self { waits: Waits::new(WAIT_FIRST, WAIT_MAX), row: Vec::new() }
    }
}

impl Unanswered {
    /// A sweep begins, which comes to each event once.
    pub(super) fn begin(&mut self) {
        self.row.clear();
    }

    /// Whether the event is not to be tried yet.
    pub(super) fn waits(&self, event: EventId) -> bool {
        self.waits.holds(&event)
    }

    /// The server has answered for this event.
    pub(super) fn answered(&mut self, event: EventId) {
        self.waits.forget(&event);
        self.row.clear();
    }

    /// The server has not answered for this event. Returns so many different ones in a
    /// row, when it is time to ask whether the server is there.
    pub(super) fn not_answered(&mut self, event: EventId) -> Option<Vec<EventId>> {
        self.waits.failed(event);
        self.row.push(event);
        (self.row.len() >= DIFFERENT).then(|| std::mem::take(&mut self.row))
    }

    /// It was the server: these events are tried as soon as it is back.
    pub(super) fn forget(&mut self, row: &[EventId]) {
        for event in row {
            self.waits.forget(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn event(n: u128) -> EventId {
        Uuid::from_u128(n).into()
    }

    #[test]
    fn one_event_that_is_not_answered_again_and_again_says_nothing_of_the_server() {
        let mut unanswered = Unanswered::default();
        for _ in 0..10 {
            unanswered.begin();
            assert_eq!(unanswered.not_answered(event(1)), None);
        }
        assert!(unanswered.waits(event(1)) && !unanswered.waits(event(2)));
    }

    #[test]
    fn different_events_in_a_row_are_told_and_may_be_forgotten() {
        let mut unanswered = Unanswered::default();
        for n in 1..=2 {
            assert_eq!(unanswered.not_answered(event(n)), None);
        }
        unanswered.answered(event(3));
        for n in 4..=5 {
            assert_eq!(unanswered.not_answered(event(n)), None, "others are answered");
        }
        let row = unanswered.not_answered(event(6)).unwrap();
        assert_eq!(row, [4, 5, 6].map(event));
        unanswered.forget(&row);
        assert!(!unanswered.waits(event(4)) && unanswered.waits(event(1)));
    }
}
