//! The journal against the facts. Pure.
//!
//! A client that was answered 201 must have user, row, inbox record and one welcome
//! todo. So must every other user who turns out to be registered: a user without
//! a task is lost, whatever the client heard.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;

use onboard_contract::{EventId, UserId};
use serde::Serialize;

use crate::facts::{Facts, Row, User};
use crate::journal::{Attempt, Outcome};

/// What a finding counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Promised, and not there.
    Lost,
    /// There more often than once.
    Duplicated,
    /// Nobody asked for it.
    Unexpected,
    /// There, and not at its end.
    Unfinished,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What it counts as.
    pub class: Class,
    /// Of which registration, user, event or address.
    pub id: String,
    /// In words.
    pub what: &'static str,
}

/// What came of the attempts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Attempts.
    pub attempted: usize,
    /// Answered 201.
    pub acknowledged: usize,
    /// Answered otherwise, by status.
    pub refused: BTreeMap<u16, usize>,
    /// Not answered.
    pub unknown: usize,
    /// Refused or unknown, and registered all the same.
    pub recovered: usize,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// How many registrations have a finding of `class`.
    #[must_use]
    pub fn count(&self, class: Class) -> usize {
        let of_class = self.findings.iter().filter(|finding| finding.class == class);
        of_class.map(|finding| &finding.id).collect::<HashSet<_>>().len()
    }
}

/// Judges every attempt, and everything that no attempt explains.
#[must_use]
pub fn judge(attempts: &[Attempt], facts: &Facts) -> Verdict {
    let mut judge = Judge { facts: Index::new(facts), verdict: Verdict::default() };
    for attempt in attempts {
        judge.attempt(attempt);
    }
    judge.unexplained(attempts, facts);
    judge.verdict.findings.sort();
    judge.verdict
}

struct Index<'a> {
    users: HashMap<&'a str, Vec<&'a User>>,
    rows: HashMap<UserId, Vec<&'a Row>>,
    inbox: HashMap<EventId, usize>,
    todos: HashMap<UserId, usize>,
}

impl<'a> Index<'a> {
    fn new(facts: &'a Facts) -> Self {
        let mut users: HashMap<&str, Vec<&User>> = HashMap::new();
        for user in &facts.users {
            users.entry(&user.email).or_default().push(user);
        }
        let mut rows: HashMap<UserId, Vec<&Row>> = HashMap::new();
        for row in &facts.rows {
            rows.entry(row.user).or_default().push(row);
        }
        let inbox = count(facts.inbox.iter().map(|applied| applied.event));
        let todos = count(facts.todos.iter().map(|todo| todo.user));
        Self { users, rows, inbox, todos }
    }
}

fn count<T: Eq + Hash>(all: impl Iterator<Item = T>) -> HashMap<T, usize> {
    let mut counts = HashMap::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    counts
}

struct Judge<'a> {
    facts: Index<'a>,
    verdict: Verdict,
}

impl Judge<'_> {
    fn attempt(&mut self, attempt: &Attempt) {
        let users = self.facts.users.get(attempt.email.as_str()).cloned().unwrap_or_default();
        let verdict = &mut self.verdict;
        verdict.attempted += 1;
        match attempt.outcome {
            Outcome::Acknowledged { .. } => verdict.acknowledged += 1,
            Outcome::Refused(status) => *verdict.refused.entry(status).or_default() += 1,
            Outcome::Unknown => verdict.unknown += 1,
        }
        if let Outcome::Acknowledged { user, registration } = attempt.outcome {
            let id = registration.to_string();
            match users.first() {
                None => self.find(Class::Lost, &id, "answered 201 and there is no user"),
                Some(found) if found.id != user => {
                    self.find(Class::Lost, &id, "answered 201 and the user is another one");
                }
                Some(found) if !self.has_row(found, registration) => {
                    self.find(Class::Lost, &id, "answered 201 and there is no such outbox row");
                }
                Some(_) => {}
            }
        } else if !users.is_empty() {
            self.verdict.recovered += 1;
        }
        if users.len() > 1 {
            self.find(Class::Duplicated, &attempt.email, "more than one user with the address");
        }
        for user in users {
            self.user(user);
        }
    }

    fn has_row(&self, user: &User, event: EventId) -> bool {
        let rows = self.facts.rows.get(&user.id);
        rows.is_some_and(|rows| rows.iter().any(|row| row.event == event))
    }

    /// Whoever is registered has a row, an inbox record and one welcome todo.
    fn user(&mut self, user: &User) {
        let rows = self.facts.rows.get(&user.id).cloned().unwrap_or_default();
        // One name for all that is wrong with a registration, so that it is
        // counted once.
        let id = rows.first().map_or_else(|| user.id.to_string(), |row| row.event.to_string());
        match rows.len() {
            0 => self.find(Class::Lost, &id, "registered and without an outbox row"),
            1 => {}
            _ => self.find(Class::Duplicated, &id, "more than one outbox row"),
        }
        for row in rows {
            self.row(row);
        }
        match self.facts.todos.get(&user.id).copied().unwrap_or_default() {
            0 => self.find(Class::Lost, &id, "registered and without a welcome todo"),
            1 => {}
            _ => self.find(Class::Duplicated, &id, "more than one welcome todo"),
        }
    }

    fn row(&mut self, row: &Row) {
        let id = row.event.to_string();
        if row.took_ms.is_none() {
            self.find(Class::Unfinished, &id, "the row is not SENT and acknowledged");
        }
        match self.facts.inbox.get(&row.event).copied().unwrap_or_default() {
            0 => self.find(Class::Lost, &id, "no inbox record"),
            1 => {}
            _ => self.find(Class::Duplicated, &id, "more than one inbox record"),
        }
    }

    /// What is there although nobody tried.
    fn unexplained(&mut self, attempts: &[Attempt], facts: &Facts) {
        let tried: HashSet<&str> = attempts.iter().map(|attempt| attempt.email.as_str()).collect();
        let users: HashSet<_> = facts.users.iter().map(|user| user.id).collect();
        let events: HashSet<_> = facts.rows.iter().map(|row| row.event).collect();
        for user in facts.users.iter().filter(|user| !tried.contains(user.email.as_str())) {
            self.find(Class::Unexpected, &user.id, "a user nobody asked for");
        }
        for row in facts.rows.iter().filter(|row| !users.contains(&row.user)) {
            self.find(Class::Unexpected, &row.event, "an outbox row without its user");
        }
        for applied in facts.inbox.iter().filter(|applied| !events.contains(&applied.event)) {
            self.find(Class::Unexpected, &applied.event, "an inbox record without its row");
        }
        for todo in facts.todos.iter().filter(|todo| !users.contains(&todo.user)) {
            self.find(Class::Unexpected, &todo.user, "a welcome todo without its user");
        }
    }

    fn find(&mut self, class: Class, id: &impl ToString, what: &'static str) {
        self.verdict.findings.push(Finding { class, id: id.to_string(), what });
    }
}

#[cfg(test)]
mod tests;
