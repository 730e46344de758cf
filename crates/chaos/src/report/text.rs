//! The report for a person, within 80 columns.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::Report;
use crate::plan::Kind;

/// Wrong things named in the text at most; the JSON has them all.
const NAMED_MAX: usize = 20;

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.head(f)?;
        self.counts(f)?;
        self.fault_table(f)?;
        self.time_lines(f)?;
        self.wrong(f)?;
        writeln!(f, "\nRepeat it:\n  {}", self.repeat.replace(" --faults", " \\\n    --faults"))
    }
}

impl Report {
    fn head(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { seed, minutes, rate, faults_per_minute, .. } = self;
        writeln!(
            f,
            "Chaos run: seed {seed}, {minutes} min, {rate} registrations/s, \
             {faults_per_minute} faults/min"
        )?;
        let versions: Vec<String> =
            self.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        writeln!(f, "{}", versions.join(", "))?;
        let hashing = if self.cheap_hashing { "cheap (insecure)" } else { "as in production" };
        let consumer = self.consumer.as_ref().map_or("", |_| ", and the consumer crm");
        writeln!(f, "two of each service{consumer}; password hashing {hashing}\n")
    }

    fn counts(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let refused: usize = self.refused.values().sum();
        let by_status: Vec<String> =
            self.refused.iter().map(|(status, count)| format!("{status}: {count}")).collect();
        count(f, "attempted", self.attempted, "")?;
        count(f, "acknowledged", self.acknowledged, "answered 201")?;
        count(f, "refused", refused, &by_status.join(", "))?;
        count(f, "unknown", self.unknown, "no answer")?;
        count(f, "recovered", self.recovered, "refused or unknown, registered all the same")?;
        if self.shed > 0 {
            count(f, "not sent", self.shed, "too many were under way")?;
        }
        writeln!(f)?;
        count(f, "lost", self.lost, "")?;
        count(f, "duplicated", self.duplicated, "")?;
        count(f, "unexpected", self.unexpected, "")?;
        count(f, "unfinished", self.unfinished, "")
    }

    fn fault_table(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let faults = &self.faults;
        let skipped = match faults.skipped {
            0 => String::new(),
            skipped => format!(", {skipped} skipped (the target did not run)"),
        };
        writeln!(f, "\n{} faults of {} planned{skipped}\n", faults.done, faults.planned)?;
        write!(f, "  {:<10}", "")?;
        for kind in Kind::ALL {
            write!(f, "{kind:>11}")?;
        }
        writeln!(f, "{:>9}", "all")?;
        for target in &faults.targets {
            let of = faults.by_target.get(target);
            write!(f, "  {target:<10}")?;
            for kind in Kind::ALL {
                write!(f, "{:>11}", of.and_then(|of| of.get(kind.word())).unwrap_or(&0))?;
            }
            writeln!(f, "{:>9}", of.map_or(0, |of| of.values().sum::<usize>()))?;
        }
        write!(f, "  {:<10}", "all")?;
        for kind in Kind::ALL {
            write!(f, "{:>11}", faults.by_kind.get(kind.word()).unwrap_or(&0))?;
        }
        writeln!(f, "{:>9}\n", faults.done)
    }

    fn time_lines(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let took = |ms: Option<i64>| {
            ms.and_then(|ms| u64::try_from(ms).ok()).map_or_else(|| "-".to_owned(), seconds)
        };
        let times = &self.times;
        writeln!(
            f,
            "a registration took  {} (median), {} (p99), {} (longest)",
            took(times.registration_median_ms),
            took(times.registration_p99_ms),
            took(times.registration_longest_ms)
        )?;
        match times.drain_ms {
            Some(ms) => writeln!(f, "time to drain        {}", seconds(ms)),
            None => writeln!(f, "time to drain        it did not drain"),
        }
    }

    fn wrong(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.clean() {
            return writeln!(f, "\nClean: nobody is lost, nobody was served twice.");
        }
        writeln!(f, "\nNOT clean:")?;
        match &self.left {
            None => writeln!(f, "  after settling, a server did not answer")?,
            Some(left) if !left.nothing() => writeln!(f, "  after settling: {left}")?,
            Some(_) => {}
        }
        for found in self.findings.iter().take(NAMED_MAX) {
            writeln!(f, "  journal  {}\n           {}", found.id, found.what)?;
        }
        for found in self.audit.violations.iter().take(NAMED_MAX) {
            writeln!(f, "  audit    {} {}\n           {}", found.kind, found.id, found.detail)?;
        }
        let all = self.findings.len() + self.audit.violations.len();
        if all > NAMED_MAX {
            writeln!(f, "  {all} in all; --json names them")?;
        }
        Ok(())
    }
}

fn count(f: &mut Formatter<'_>, name: &str, count: impl Display, what: &str) -> fmt::Result {
    let line = format!("  {name:<14}{count:>8}  {what}");
    writeln!(f, "{}", line.trim_end())
}

fn seconds(ms: u64) -> String {
    format!("{:.1} s", Duration::from_millis(ms).as_secs_f64())
}
