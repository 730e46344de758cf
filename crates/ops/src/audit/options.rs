//! What is judged, and how thoroughly.

use std::time::Duration;

/// What an audit judges.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only registrations created at or after this time, in ms since the Unix
    /// epoch.
    pub since_ms: Option<i64>,
    /// How old a registration must be to be judged; younger ones are in
    /// flight.
    pub grace: Duration,
    /// Of how many finished registrations the workflow's history is read.
    pub histories: Histories,
}

/// How many histories are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Histories {
    /// Those of all finished registrations.
    All,
    /// Those of this many, drawn at random.
    Sample(usize),
}

impl Default for Options {
    fn default() -> Self {
        Self { since_ms: None, grace: Duration::from_mins(1), histories: Histories::Sample(100) }
    }
}
