//! What an audit found.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::audit::{Class, Kind, Options};

/// Violations named of one kind at most; further ones are only counted.
const NAMED_PER_KIND_MAX: u64 = 1_000;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    /// What is wrong.
    pub kind: Kind,
    /// With what; [`Kind`] says whose id it is.
    pub id: String,
    /// In words, without personal data.
    pub detail: String,
}

/// Something that is worth knowing and no violation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// Of what: the event's id.
    pub id: String,
    /// In words, without personal data.
    pub detail: String,
}

/// The verdict. Counts are exact; of each kind at most 1,000 are named.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Registrations judged (users, and rows without a user), and rows of other events.
    pub attempted: u64,
    /// Those of them with the terminal record.
    pub acknowledged: u64,
    /// Violations: something that was promised is not there.
    pub lost: u64,
    /// Violations: something is there more than once.
    pub duplicated: u64,
    /// Violations: something that nothing explains, or that was altered.
    pub unexpected: u64,
    /// Violations: older than the grace and still on its way.
    pub unfinished: u64,
    /// Registrations and other events younger than the grace, not judged.
    pub in_flight: u64,
    /// Histories read.
    pub histories: u64,
    /// How many violations of each kind there are.
    pub kinds: BTreeMap<Kind, u64>,
    /// Violations that are counted and not named.
    pub unnamed: u64,
    /// The named violations.
    pub violations: Vec<Violation>,
    /// How many notes there are.
    pub noted: u64,
    /// The first 1,000 of them.
    pub notes: Vec<Note>,
    /// When the audit began, in ms since the Unix epoch.
    pub began_at_ms: i64,
    /// The grace, in ms.
    pub grace_ms: u64,
    /// Registrations from before this time were not judged, in ms.
    pub since_ms: Option<i64>,
}

impl Report {
    pub(crate) fn new(options: &Options, began_at_ms: i64) -> Self {
        Self {
            attempted: 0,
            acknowledged: 0,
            lost: 0,
            duplicated: 0,
            unexpected: 0,
            unfinished: 0,
            in_flight: 0,
            histories: 0,
            kinds: BTreeMap::new(),
            unnamed: 0,
            violations: Vec::new(),
            noted: 0,
            notes: Vec::new(),
            began_at_ms,
            grace_ms: u64::try_from(options.grace.as_millis()).unwrap_or(u64::MAX),
            since_ms: options.since_ms,
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn clean(&self) -> bool {
        self.kinds.is_empty()
    }

    #[expect(clippy::needless_pass_by_value, reason = "ids are small")]
    pub(crate) fn note(&mut self, id: impl ToString, detail: impl Into<String>) {
        self.noted += 1;
        if self.noted <= NAMED_PER_KIND_MAX {
            self.notes.push(Note { id: id.to_string(), detail: detail.into() });
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "ids are small")]
    pub(crate) fn violation(&mut self, kind: Kind, id: impl ToString, detail: impl Into<String>) {
        if self.count(kind, 1) > NAMED_PER_KIND_MAX {
            self.unnamed += 1;
            return;
        }
        self.violations.push(Violation { kind, id: id.to_string(), detail: detail.into() });
    }

    /// Counts further violations of a kind whose names are not known.
    pub(crate) fn unnamed_violations(&mut self, kind: Kind, more: u64) {
        if more > 0 {
            self.count(kind, more);
            self.unnamed += more;
        }
    }

    /// Counts; returns how many of the kind there are by now.
    fn count(&mut self, kind: Kind, more: u64) -> u64 {
        match kind.class() {
            Class::Lost => self.lost += more,
            Class::Duplicated => self.duplicated += more,
            Class::Unexpected => self.unexpected += more,
            Class::Unfinished => self.unfinished += more,
        }
        let count = self.kinds.entry(kind).or_default();
        *count += more;
        *count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_counted_and_a_bounded_number_is_named() {
        let mut report = Report::new(&Options::default(), 0);
        assert!(report.clean());
        for n in 0..NAMED_PER_KIND_MAX + 5 {
            report.violation(Kind::TodoMissing, n, "gone");
        }
        report.violation(Kind::RowPending, "late", "still named");
        assert_eq!((report.lost, report.unfinished, report.unnamed), (1_005, 1, 5));
        assert_eq!(report.violations.len(), 1_001);
        assert_eq!(report.violations.last().unwrap().id, "late");
        assert!(!report.clean());
    }
}
