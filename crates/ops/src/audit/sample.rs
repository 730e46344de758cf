//! Which finished registrations have their history read.

use onboard_contract::{EventId, UserId};
use onboard_runtime::clock;

use crate::audit::Histories;
use crate::audit::row::Row;

/// A registration whose workflow has completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) event: EventId,
    pub(crate) user: UserId,
}

impl Finished {
    /// Of a row that is acknowledged.
    pub(crate) fn of(row: &Row) -> Option<Self> {
        row.acknowledged_at_ms()?;
        Some(Self { event: row.event, user: row.user? })
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
    use uuid::Uuid;

    use super::*;

    fn finished(count: u128) -> Vec<Finished> {
        let one =
            |n| Finished { event: Uuid::from_u128(n).into(), user: Uuid::from_u128(n).into() };
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
