//! Two lines of jobs, logins and registrations, of which the threads take the first in
//! turns: a login waits for one registration at most for each login before it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Purpose;

/// The jobs that wait. Who adds them bounds their number.
pub(super) struct Lines<J> {
    waiting: Mutex<Waiting<J>>,
    joined: Condvar,
}

struct Waiting<J> {
    logins: VecDeque<J>,
    registrations: VecDeque<J>,
    /// Whose turn it is, where both lines have somebody.
    turn: Purpose,
    closed: bool,
}

impl<J> std::fmt::Debug for Lines<J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").finish_non_exhaustive()
    }
}

impl<J> Lines<J> {
    pub(super) fn new() -> Self {
        let (logins, registrations) = (VecDeque::new(), VecDeque::new());
        let waiting = Waiting { logins, registrations, turn: Purpose::Login, closed: false };
        Self { waiting: Mutex::new(waiting), joined: Condvar::new() }
    }

    /// Adds a job to the end of its line.
    pub(super) fn join(&self, purpose: Purpose, job: J) {
        let mut waiting = self.lock();
        match purpose {
            Purpose::Login => waiting.logins.push_back(job),
            Purpose::Registration => waiting.registrations.push_back(job),
        }
        drop(waiting);
        self.joined.notify_one();
    }

    /// A job that waits already.
    pub(super) fn next(&self) -> Option<J> {
        self.lock().next()
    }

    /// Waits for a job; `None` once nothing more comes.
    pub(super) fn wait(&self) -> Option<J> {
        let mut waiting = self.lock();
        loop {
            if let Some(job) = waiting.next() {
                return Some(job);
            }
            if waiting.closed {
                return None;
            }
            waiting = self.joined.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nothing more comes.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.joined.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<J>> {
        // Every change is one push or pop: nothing is half done.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J> Waiting<J> {
    fn next(&mut self) -> Option<J> {
        let login_first = self.turn == Purpose::Login;
        let first = if login_first { &mut self.logins } else { &mut self.registrations };
        if let Some(job) = first.pop_front() {
            self.turn = if login_first { Purpose::Registration } else { Purpose::Login };
            return Some(job);
        }
        let other = if login_first { &mut self.registrations } else { &mut self.logins };
        other.pop_front()
    }
}
