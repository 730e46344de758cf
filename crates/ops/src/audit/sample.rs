//! Which finished registrations have their history read.

use onboard_contract::{EventId, EventType, UserId};
use onboard_runtime::clock;
use onboard_temporal::ExecutionStatus;
use uuid::Uuid;

use crate::audit::Histories;
use crate::case::Case;

/// An event that is acknowledged and whose workflow has completed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finished {
    pub(crate) event_type: &'static EventType,
    pub(crate) event: EventId,
    /// What the event is about: of a registration the user.
    pub(crate) aggregate: Uuid,
}

impl Finished {
    pub(crate) fn of(case: &Case) -> Option<Self> {
        let row = case.row.as_ref().filter(|row| row.acknowledged_at.is_some())?;
        let run = case.workflow.found()?;
        // Aggregate and payload name one user.
        let of_user = !row.is_registration() || case.user.was_asked();
        (run.status == ExecutionStatus::Completed && of_user).then_some(Self {
            event_type: row.known_type?,
            event: row.registration_id,
            aggregate: row.about()?,
        })
    }

    /// The user of a registration.
    pub(crate) fn user(&self) -> UserId {
        self.aggregate.into()
    }
}

/// A reservoir: every finished registration has the same chance to be drawn.
#[derive(Debug)]
pub(crate) struct Sample {
    histories: Histories,
    offered: usize,
    drawn: Vec<Finished>,
}

impl Sample {
    pub(crate) fn new(histories: Histories) -> Self {
        Self { histories, offered: 0, drawn: Vec::new() }
    }

    /// Offers some; those to be read at once come back.
    pub(crate) fn offer(&mut self, finished: Vec<Finished>) -> Vec<Finished> {
        let Histories::Sample(size) = self.histories else { return finished };
        for one in finished {
            self.offered += 1;
            if self.drawn.len() < size {
                self.drawn.push(one);
            } else if let Some(place) = self.drawn.get_mut(below(self.offered)) {
                *place = one;
            }
        }
        Vec::new()
    }

    /// Those drawn.
    pub(crate) fn take(&mut self) -> Vec<Finished> {
        std::mem::take(&mut self.drawn)
    }
}

/// A random number below `bound`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a sample needs no exact odds"
)]
fn below(bound: usize) -> usize {
    (clock::jitter() * bound as f64) as usize
}

#[cfg(test)]
mod tests {
    use onboard_events::UserRegistered;

    use super::*;

    fn finished(count: u128) -> Vec<Finished> {
        let one = |n| Finished {
            event_type: UserRegistered::TYPE,
            event: Uuid::from_u128(n).into(),
            aggregate: Uuid::from_u128(n),
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn a_sample_is_bounded_and_reaches_the_last() {
        let mut late = 0;
        for _ in 0..100 {
            let mut sample = Sample::new(Histories::Sample(10));
            assert!(sample.offer(finished(1_000)).is_empty());
            let drawn = sample.take();
            assert_eq!(drawn.len(), 10);
            late += drawn.iter().filter(|one| one.event.uuid().as_u128() >= 500).count();
        }
        assert!((300..700).contains(&late), "about half lie in the later half: {late} of 1000");
    }

    #[test]
    fn all_are_read_at_once() {
        let mut sample = Sample::new(Histories::All);
        assert_eq!(sample.offer(finished(3)).len(), 3);
        assert!(sample.take().is_empty());
    }
}
