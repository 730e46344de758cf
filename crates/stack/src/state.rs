//! The states of a process under supervision, and what moves it from one to
//! the next. Pure: the supervisor does what this decides.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Where a component is; the words `onboard status` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Runs, but does not answer (yet, or any more).
    Starting,
    /// Runs and answers.
    Ready,
    /// Not running, and not wanted.
    Stopped,
    /// Died; comes back after a pause.
    Restarting,
    /// Died again and again without ever answering; still tried, rarely.
    Failed,
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Stopped => "stopped",
            Self::Restarting => "restarting",
            Self::Failed => "failed",
        })
    }
}

/// A component's state with the process it runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Where it is.
    pub state: State,
    /// Its process, when there is one.
    pub pid: Option<u32>,
}

/// One line of `onboard status --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The component's name.
    pub component: String,
    /// Its process, when there is one.
    pub pid: Option<u32>,
    /// The port others reach it on.
    pub port: u16,
    /// Where it is.
    pub state: State,
}

const FAILED_AFTER_DEATHS: u32 = 5;
const MISSES_MAX: u32 = 2;
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// The life of one component.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) state: State,
    deaths: u32,
    misses: u32,
}

impl Life {
    pub(crate) fn new() -> Self {
        Self { state: State::Stopped, deaths: 0, misses: 0 }
    }

    /// Somebody asked for a start: the count of deaths begins anew.
    pub(crate) fn wanted(&mut self) {
        self.deaths = 0;
    }

    pub(crate) fn started(&mut self) {
        self.misses = 0;
        self.state = State::Starting;
    }

    /// A readiness check came back. One miss of a ready one is forgiven.
    pub(crate) fn probed(&mut self, answers: bool) {
        if answers {
            self.deaths = 0;
            self.misses = 0;
            self.state = State::Ready;
        } else if self.state == State::Ready {
            self.misses += 1;
            if self.misses >= MISSES_MAX {
                self.state = State::Starting;
            }
        }
    }

    /// It died unasked; answers the pause before the next try.
    pub(crate) fn died(&mut self) -> Duration {
        let pause = PAUSE_MIN.saturating_mul(1 << self.deaths.min(6)).min(PAUSE_MAX);
        self.deaths += 1;
        self.state =
            if self.deaths >= FAILED_AFTER_DEATHS { State::Failed } else { State::Restarting };
        pause
    }

    pub(crate) fn stopped(&mut self) {
        self.deaths = 0;
        self.state = State::Stopped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_missed_check_is_forgiven_and_a_second_is_not() {
        let mut life = Life::new();
        life.started();
        life.probed(true);
        life.probed(false);
        assert_eq!(life.state, State::Ready);
        life.probed(false);
        assert_eq!(life.state, State::Starting);
        life.probed(true);
        assert_eq!(life.state, State::Ready);
    }

    #[test]
    fn pauses_grow_to_a_cap_and_deaths_without_an_answer_mean_failed() {
        let mut life = Life::new();
        let mut pauses = Vec::new();
        for _ in 0..7 {
            life.started();
            life.probed(false);
            pauses.push(life.died().as_millis());
        }
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!(life.state, State::Failed);
    }

    #[test]
    fn an_answer_forgets_earlier_deaths() {
        let mut life = Life::new();
        for _ in 0..4 {
            life.started();
            life.died();
        }
        life.started();
        life.probed(true);
        assert_eq!(life.died(), PAUSE_MIN);
        assert_eq!(life.state, State::Restarting);
    }

    #[test]
    fn states_are_written_as_the_contract_says() {
        let words = serde_json::to_string(&[
            State::Starting,
            State::Ready,
            State::Stopped,
            State::Restarting,
            State::Failed,
        ])
        .unwrap();
        assert_eq!(words, r#"["starting","ready","stopped","restarting","failed"]"#);
    }
}
