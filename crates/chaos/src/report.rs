//! The report, in the form RabbitMQ's Jepsen tests gave theirs: attempted,
//! acknowledged, lost, duplicated, unexpected, recovered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use onboard_ops::audit::Report as Audit;
use serde::Serialize;

use crate::facts::Facts;
use crate::judge::{Class, Finding, Verdict};
use crate::plan::Fault;
use crate::run::Settings;
use crate::settle::Left;

mod text;

/// What a run was and what came of it. Serializes to the JSON of
/// `onboard chaos --json`; displays as the text.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What the faults were drawn from.
    pub seed: u64,
    /// How long it ran.
    pub minutes: f64,
    /// Registrations a second.
    pub rate: f64,
    /// Faults a minute, planned.
    pub faults_per_minute: f64,
    /// Whether passwords were hashed weakly.
    pub cheap_hashing: bool,
    /// The command of the consumer `crm`, when there was one.
    pub consumer: Option<String>,
    /// Attempts to register.
    pub attempted: usize,
    /// Those answered 201.
    pub acknowledged: usize,
    /// Those answered otherwise, by status.
    pub refused: BTreeMap<u16, usize>,
    /// Those not answered.
    pub unknown: usize,
    /// Arrivals not sent, because too many were under way.
    pub shed: usize,
    /// Refused or unknown, and registered all the same.
    pub recovered: usize,
    /// Registered, and something of it is gone; the larger of what the journal
    /// and the audit say, as for the next three.
    pub lost: u64,
    /// There more often than once.
    pub duplicated: u64,
    /// There, and nobody asked for it.
    pub unexpected: u64,
    /// There, and not at its end.
    pub unfinished: u64,
    /// What was broken.
    pub faults: FaultCounts,
    /// How long things took.
    pub times: Times,
    /// What was not at its end after settling; absent when a server could not
    /// be asked.
    pub left: Option<Left>,
    /// Of servers and program.
    pub versions: BTreeMap<&'static str, String>,
    /// What the journal proves wrong.
    pub findings: Vec<Finding>,
    /// The auditor's report over all stores.
    pub audit: Audit,
    /// The command that repeats the run.
    pub repeat: String,
}

impl Report {
    pub(crate) fn new(
        settings: &Settings,
        verdict: Verdict,
        audit: Audit,
        left: Option<Left>,
    ) -> Self {
        let larger = |class, audited: u64| audited.max(verdict.count(class) as u64);
        Self {
            seed: settings.seed,
            minutes: settings.length.as_secs_f64() / 60.0,
            rate: settings.rate,
            faults_per_minute: settings.faults_per_minute,
            cheap_hashing: settings.cheap_hashing,
            consumer: settings.consumer.clone(),
            attempted: verdict.attempted,
            acknowledged: verdict.acknowledged,
            unknown: verdict.unknown,
            shed: 0,
            recovered: verdict.recovered,
            lost: larger(Class::Lost, audit.lost),
            duplicated: larger(Class::Duplicated, audit.duplicated),
            unexpected: larger(Class::Unexpected, audit.unexpected),
            unfinished: larger(Class::Unfinished, audit.unfinished),
            faults: FaultCounts::default(),
            times: Times::default(),
            left,
            versions: BTreeMap::new(),
            refused: verdict.refused,
            findings: verdict.findings,
            audit,
            repeat: repeat(settings),
        }
    }

    pub(crate) fn with(mut self, shed: usize, versions: BTreeMap<&'static str, String>) -> Self {
        self.shed = shed;
        self.versions = versions;
        self
    }

    /// Whether nothing is lost, doubled, unexpected or unfinished.
    #[must_use]
    pub fn clean(&self) -> bool {
        let settled = self.left.as_ref().is_some_and(Left::nothing);
        settled && self.findings.is_empty() && self.audit.clean()
    }
}

/// The command that repeats a run.
#[must_use]
pub fn repeat(settings: &Settings) -> String {
    let consumer = settings.consumer.as_ref();
    format!(
        "onboard chaos --minutes {} --seed {} --rate {} --faults-per-minute {}{}{}",
        settings.length.as_secs_f64() / 60.0,
        settings.seed,
        settings.rate,
        settings.faults_per_minute,
        if settings.cheap_hashing { " --cheap-hashing" } else { "" },
        consumer.map(|command| format!(" --consumer '{command}'")).unwrap_or_default()
    )
}

/// What was broken, counted.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultCounts {
    /// In the plan.
    pub planned: usize,
    /// Done.
    pub done: usize,
    /// Not done: the target did not run at that moment.
    pub skipped: usize,
    /// Done, by kind.
    pub by_kind: BTreeMap<&'static str, usize>,
    /// Done, by target and kind.
    pub by_target: BTreeMap<String, BTreeMap<&'static str, usize>>,
    /// Everything that could be broken, in the order of the table.
    #[serde(skip)]
    pub targets: Vec<String>,
}

impl FaultCounts {
    pub(crate) fn new(
        planned: usize,
        (done, skipped): (Vec<Fault>, usize),
        targets: Vec<String>,
    ) -> Self {
        let mut counts = Self { planned, done: done.len(), skipped, targets, ..Self::default() };
        for Fault { target, kind, .. } in done {
            *counts.by_kind.entry(kind.word()).or_default() += 1;
            *counts.by_target.entry(target).or_default().entry(kind.word()).or_default() += 1;
        }
        counts
    }

    /// The kinds that were done.
    #[must_use]
    pub fn kinds(&self) -> BTreeSet<&'static str> {
        self.by_kind.keys().copied().collect()
    }
}

/// How long things took, in ms.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Times {
    /// From registration to terminal record: the middle one.
    pub registration_median_ms: Option<i64>,
    /// The 99th of a hundred.
    pub registration_p99_ms: Option<i64>,
    /// The longest.
    pub registration_longest_ms: Option<i64>,
    /// From the end of the last fault until nothing was left to do; absent
    /// when that did not come.
    pub drain_ms: Option<u64>,
}

impl Times {
    pub(crate) fn new(facts: &Facts, drained: Option<Duration>) -> Self {
        let mut took: Vec<i64> = facts.rows.iter().filter_map(|row| row.took_ms).collect();
        took.sort_unstable();
        let at = |percent: usize| took.get(took.len().saturating_sub(1) * percent / 100).copied();
        Self {
            registration_median_ms: at(50),
            registration_p99_ms: at(99),
            registration_longest_ms: at(100),
            drain_ms: drained.and_then(|took| u64::try_from(took.as_millis()).ok()),
        }
    }
}

#[cfg(test)]
mod tests;
