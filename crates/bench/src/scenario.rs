//! What can be measured, and how long.

use std::fmt;
use std::str::FromStr;

/// One scenario, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// `onboard up` until everything is ready.
    Startup,
    /// Resident memory of each service.
    Memory,
    /// 201 until the task is visible, at five registrations a second.
    Latency,
    /// Registrations a second.
    Register,
    /// A backlog of registrations worked off.
    Drain,
    /// The todo service with a full queue.
    Consume,
    /// Claim and sweep beside very many finished rows.
    History,
    /// Three times what can be done.
    Overload,
    /// Each server away for a while.
    Outage,
}

impl Scenario {
    /// Every scenario.
    pub const ALL: [Self; 9] = [
        Self::Startup,
        Self::Memory,
        Self::Latency,
        Self::Register,
        Self::Drain,
        Self::Consume,
        Self::History,
        Self::Overload,
        Self::Outage,
    ];

    /// The word on the command line and in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Memory => "memory",
            Self::Latency => "latency",
            Self::Register => "register",
            Self::Drain => "drain",
            Self::Consume => "consume",
            Self::History => "history",
            Self::Overload => "overload",
            Self::Outage => "outage",
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = Self::ALL.map(Self::word).join(", ");
        Self::ALL
            .into_iter()
            .find(|scenario| scenario.word() == text)
            .ok_or_else(|| format!("no such scenario; there are {all}"))
    }
}

/// How much is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// What `docs/performance.md` shows.
    Full,
    /// A twentieth or so: shows that it works, and is no measurement.
    Quick,
}

impl Scale {
    /// One of two numbers.
    #[must_use]
    pub fn pick<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }
}
