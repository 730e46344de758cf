//! What is broken, when, and for how long: drawn from the seed as a whole,
//! before anything runs. Pure.
//!
//! Faults of different targets overlap. Those of one target do not: the next
//! one begins at the earliest one second after the last has ended.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;
use onboard_stack::Server;
use serde::Serialize;

use crate::stage::{CONSUMER, Process};

/// The only server that can suffer every kind.
const RABBITMQ: &str = Server::Rabbitmq.name();
/// The least time between two faults of one target.
const GAP: Duration = Duration::from_secs(1);

/// How something is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// SIGKILL; it is restarted as after any crash.
    Kill,
    /// SIGSTOP, and SIGCONT after a while: it keeps its connections and
    /// answers nothing.
    Freeze,
    /// SIGTERM, and a start after a while.
    Restart,
    /// Every connection to RabbitMQ is closed.
    Disconnect,
    /// The queue loses its binding for a while: what is published reaches no
    /// queue.
    Unbind,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Kill, Self::Freeze, Self::Restart, Self::Disconnect, Self::Unbind];
    const OF_ANY_PROCESS: [Self; 3] = [Self::Kill, Self::Freeze, Self::Restart];

    /// Those that `target` can suffer.
    fn of(target: &str) -> &'static [Self] {
        if target == RABBITMQ { &Self::ALL } else { &Self::OF_ANY_PROCESS }
    }

    /// How long it may last, in ms.
    const fn lasts_ms(self) -> Range<u64> {
        match self {
            Self::Kill | Self::Disconnect => 0..1,
            Self::Freeze => 500..12_001,
            Self::Restart => 0..4_001,
            Self::Unbind => 500..8_001,
        }
    }

    /// The word in plans and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Freeze => "freeze",
            Self::Restart => "restart",
            Self::Disconnect => "disconnect",
            Self::Unbind => "unbind",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One thing that is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// When, from the beginning of the load.
    pub at_ms: u64,
    /// Which process.
    pub target: String,
    /// How.
    pub kind: Kind,
    /// How long until it is mended; 0 where it mends itself.
    pub lasts_ms: u64,
}

impl Fault {
    fn touches(&self, at_ms: u64) -> bool {
        let gap = u64::try_from(GAP.as_millis()).unwrap_or(u64::MAX);
        at_ms < self.at_ms + self.lasts_ms + gap
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = Duration::from_millis(self.at_ms).as_secs_f64();
        write!(f, "{at:>9.3} s  {:<9} {}", self.target, self.kind)?;
        if self.lasts_ms > 0 {
            write!(f, " for {:.1} s", Duration::from_millis(self.lasts_ms).as_secs_f64())?;
        }
        Ok(())
    }
}

/// Every fault of a run, in order of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Plan {
    /// The faults.
    pub faults: Vec<Fault>,
}

impl Plan {
    /// Draws `count` faults of these targets over `length`. The same arguments
    /// give the same plan; a moment at which every target is broken already is
    /// let pass.
    #[must_use]
    pub fn draw(seed: u64, length: Duration, count: usize, targets: &[String]) -> Self {
        let mut rng = Rng::with_seed(seed);
        let end_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut times: Vec<u64> = (0..count).map(|_| rng.u64(0..end_ms)).collect();
        times.sort_unstable();
        let mut dealer = Dealer { rng, targets, deck: Vec::new() };
        let mut faults: Vec<Fault> = Vec::with_capacity(count);
        for at_ms in times {
            let free = |target: &str| {
                let last = faults.iter().rev().find(|fault| fault.target == target);
                !last.is_some_and(|fault| fault.touches(at_ms))
            };
            let dealt = dealer.deal(at_ms, free);
            faults.extend(dealt);
        }
        Self { faults }
    }
}

/// Deals targets like cards, so that a short plan has all of them too. A deck
/// holds each service once and each server twice: what hits a server hits
/// everybody.
struct Dealer<'a> {
    rng: Rng,
    targets: &'a [String],
    deck: Vec<&'a str>,
}

impl<'a> Dealer<'a> {
    fn deal(&mut self, at_ms: u64, free: impl Fn(&str) -> bool) -> Option<Fault> {
        let target = self.draw(&free).or_else(|| {
            self.shuffle_in();
            self.draw(&free)
        })?;
        let kind = *self.rng.choice(Kind::of(target))?;
        let lasts_ms = self.rng.u64(kind.lasts_ms());
        Some(Fault { at_ms, target: target.to_owned(), kind, lasts_ms })
    }

    /// The first card whose target is not broken.
    fn draw(&mut self, free: impl Fn(&str) -> bool) -> Option<&'a str> {
        let place = self.deck.iter().position(|target| free(target))?;
        Some(self.deck.remove(place))
    }

    fn shuffle_in(&mut self) {
        let targets = self.targets.iter().map(String::as_str);
        let mut more: Vec<_> = targets.chain(Server::ALL.map(Server::name)).collect();
        self.rng.shuffle(&mut more);
        self.deck.extend(more);
    }
}

/// Everything that can be broken: the servers, these processes and, when there
/// is one, the consumer of another program.
#[must_use]
pub fn targets(processes: &[Process], consumer: bool) -> Vec<String> {
    let servers = Server::ALL.map(|server| server.name().to_owned());
    let processes = processes.iter().map(|process| process.name.clone());
    let consumer = consumer.then(|| CONSUMER.to_owned());
    servers.into_iter().chain(processes).chain(consumer).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use onboard_stack::{Priority, Service};

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    /// Two of each service of the system.
    fn targets() -> Vec<String> {
        let service = |name| Service { name, port: 0, priority: Priority::Foreground };
        let services = ["auth", "relay", "worker", "todo"].map(service);
        super::targets(&Process::pairs(&services, false), false)
    }

    fn draw(seed: u64, length: Duration, count: usize) -> Plan {
        Plan::draw(seed, length, count, &targets())
    }

    #[test]
    fn the_same_seed_draws_the_same_plan_and_another_seed_another_one() {
        assert_eq!(draw(7, MINUTE, 20), draw(7, MINUTE, 20));
        assert_ne!(draw(7, MINUTE, 20), draw(8, MINUTE, 20));
    }

    /// A seed in a report must mean the same run after an update of the
    /// random generator too.
    #[test]
    fn a_seed_means_the_same_plan_tomorrow() {
        let plan = draw(7, MINUTE, 4);
        let lines: Vec<String> = plan.faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "   13.349 s  worker-2  freeze for 6.5 s",
                "   28.867 s  mongo     freeze for 11.2 s",
                "   43.097 s  rabbitmq  unbind for 2.6 s",
                "   46.402 s  relay-2   kill",
            ]
        );
    }

    #[test]
    fn a_long_plan_breaks_every_target_in_every_way_it_can_be_broken() {
        let plan = draw(1, MINUTE * 60, 1200);
        let drawn: BTreeSet<_> = plan.faults.iter().map(|f| (f.target.clone(), f.kind)).collect();
        let of = |target: String| Kind::of(&target).iter().map(move |kind| (target.clone(), *kind));
        let possible: BTreeSet<_> = targets().into_iter().flat_map(of).collect();
        assert_eq!(drawn, possible);
        assert_eq!(plan.faults.len(), 1200);
    }

    #[test]
    fn two_minutes_have_every_target_and_every_kind_of_a_process() {
        for seed in 0..50 {
            let plan = draw(seed, MINUTE * 2, 40);
            let hit: BTreeSet<_> = plan.faults.iter().map(|fault| &fault.target).collect();
            let kinds: BTreeSet<_> = plan.faults.iter().map(|fault| fault.kind).collect();
            assert_eq!(hit.len(), targets().len(), "seed {seed}");
            assert!(Kind::OF_ANY_PROCESS.iter().all(|kind| kinds.contains(kind)), "seed {seed}");
        }
    }

    #[test]
    fn a_freeze_always_ends_before_its_target_is_touched_again() {
        for seed in 0..50 {
            let plan = draw(seed, MINUTE, 120);
            for (n, fault) in plan.faults.iter().enumerate() {
                assert!(fault.lasts_ms <= 12_000, "{fault}");
                assert!(fault.kind != Kind::Freeze || fault.lasts_ms >= 500, "{fault}");
                let next = plan.faults[n + 1..].iter().find(|next| next.target == fault.target);
                let ends_ms = fault.at_ms + fault.lasts_ms;
                assert!(next.is_none_or(|next| next.at_ms >= ends_ms + 1_000), "{fault}");
            }
        }
    }

    #[test]
    fn faults_lie_within_the_run_in_order_of_time() {
        let plan = draw(3, MINUTE, 100);
        assert!(plan.faults.is_sorted_by_key(|fault| fault.at_ms));
        assert!(plan.faults.iter().all(|fault| fault.at_ms < 60_000));
    }
}
