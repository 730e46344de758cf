//! The report for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use onboard_ops::audit::{Class, Kind, Report, Violation};

use super::super::columns::folded;

/// Violations of one kind that a terminal shows.
const SHOWN: usize = 20;

/// The whole report. On a terminal only the first of each kind are named.
pub(super) fn of(report: &Report, terminal: bool, columns: usize) -> String {
    let mut text = counts(report);
    let mut named: BTreeMap<Kind, Vec<&Violation>> = BTreeMap::new();
    for violation in &report.violations {
        named.entry(violation.kind).or_default().push(violation);
    }
    for (kind, count) in &report.kinds {
        let named = named.get(kind).map_or(&[][..], Vec::as_slice);
        let shown = if terminal { named.len().min(SHOWN) } else { named.len() };
        let shown = named.get(..shown).unwrap_or_default();
        text.push_str(&group(*kind, *count, shown, columns));
    }
    text.push_str(&conclusion(report));
    text
}

fn counts(report: &Report) -> String {
    let grace = humantime::format_duration(Duration::from_millis(report.grace_ms));
    let young = format!("  younger than {grace}, not judged");
    let lines = [
        ("attempted", report.attempted, ""),
        ("acknowledged", report.acknowledged, ""),
        ("lost", report.lost, ""),
        ("duplicated", report.duplicated, ""),
        ("unexpected", report.unexpected, ""),
        ("unfinished", report.unfinished, ""),
        ("in flight", report.in_flight, young.as_str()),
        ("histories", report.histories, "  read to their end"),
    ];
    let notes = [("notes", report.noted, "  no violations; --json names them")];
    let notes = notes.iter().filter(|(_, count, _)| *count > 0);
    lines.iter().chain(notes).fold(String::new(), |mut text, (word, count, note)| {
        writeln!(text, "{word:<14}{count:>10}{note}").ok();
        text
    })
}

fn group(kind: Kind, count: u64, shown: &[&Violation], columns: usize) -> String {
    let class = match kind.class() {
        Class::Lost => "lost",
        Class::Duplicated => "duplicated",
        Class::Unexpected => "unexpected",
        Class::Unfinished => "unfinished",
    };
    let mut text = format!("\n{kind}: {count} ({class})\n");
    for violation in shown {
        let line = format!("  {}  {}", violation.id, violation.detail);
        if line.chars().count() <= columns {
            text.push_str(&line);
        } else {
            let detail = folded(&violation.detail, 4, columns);
            write!(text, "  {}\n    {detail}", violation.id).ok();
        }
        text.push('\n');
    }
    let more = count.saturating_sub(shown.len() as u64);
    if more > 0 {
        writeln!(text, "  and {more} more").ok();
    }
    text
}

fn conclusion(report: &Report) -> String {
    if report.clean() {
        return "\nNothing is lost, nothing is there twice, nothing is left over.\n".to_owned();
    }
    "\nNext:\n  onboard show <id>         the whole record of one registration\n  \
     onboard audit --json      every named id (of each kind at most 1,000)\n  \
     onboard redrive --help    dead letters and stalled registrations\n"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_detail_is_folded_at_the_edge() {
        let detail = "word ".repeat(60);
        let violation =
            Violation { kind: Kind::TodoMissing, id: "i".repeat(36), detail: detail.trim().into() };
        let text = group(Kind::TodoMissing, 3, &[&violation], 80);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert_eq!(text.matches("word").count(), 60, "{text}");
        assert!(text.ends_with("  and 2 more\n"), "{text}");
    }
}
