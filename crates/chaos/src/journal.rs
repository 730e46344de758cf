//! What the client wrote down: every attempt, and the answer it got.
//!
//! This is the promise the run is judged by. It is written by the client alone
//! and knows nothing of the servers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use onboard_contract::{EventId, UserId};

/// How an attempt ended for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// 201: from now on the registration may not be lost.
    Acknowledged {
        /// The user of the answer.
        user: UserId,
        /// The registration of the answer.
        registration: EventId,
    },
    /// Another answer, by its status.
    Refused(u16),
    /// No answer: a time-out, or a connection that was refused or cut.
    Unknown,
}

/// One attempt to register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The address; no other attempt has it.
    pub email: String,
    /// How it ended; [`Outcome::Unknown`] until it has.
    pub outcome: Outcome,
}

/// Every attempt of a run.
#[derive(Debug, Default)]
pub struct Journal {
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    attempts: Vec<Attempt>,
    acknowledged: usize,
    shed: usize,
}

impl Journal {
    /// Writes an attempt down before it is made; answers its number.
    pub(crate) fn begin(&self, email: String) -> usize {
        let attempts = &mut self.pages().attempts;
        attempts.push(Attempt { email, outcome: Outcome::Unknown });
        attempts.len() - 1
    }

    /// Writes its end down.
    pub(crate) fn end(&self, number: usize, outcome: Outcome) {
        let mut pages = self.pages();
        if matches!(outcome, Outcome::Acknowledged { .. }) {
            pages.acknowledged += 1;
        }
        if let Some(attempt) = pages.attempts.get_mut(number) {
            attempt.outcome = outcome;
        }
    }

    /// Notes an arrival that was not sent because too many were under way.
    pub(crate) fn shed(&self) {
        self.pages().shed += 1;
    }

    /// Attempts and acknowledged ones so far.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let pages = self.pages();
        (pages.attempts.len(), pages.acknowledged)
    }

    /// Every attempt, and how many arrivals were not sent.
    pub(crate) fn close(self) -> (Vec<Attempt>, usize) {
        let pages = self.pages.into_inner().unwrap_or_else(PoisonError::into_inner);
        (pages.attempts, pages.shed)
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
