//! What a run says in the end.

use std::fmt;

use serde::Serialize;

use crate::{Figure, Target};

/// All figures of a run.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// CPUs of this machine.
    pub cpus: usize,
    /// Whether the program was built without optimization.
    pub debug_build: bool,
    /// Whether it was a quick run, which measures nothing.
    pub quick: bool,
    /// The figures, in the order in which they were measured.
    pub figures: Vec<Figure>,
}

impl Report {
    /// Whether every target was met.
    #[must_use]
    pub fn met(&self) -> bool {
        self.figures.iter().all(|figure| figure.met != Some(false))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let build = if self.debug_build { "debug build: no measurement" } else { "release build" };
        let scale = if self.quick { "; quick run: no measurement" } else { "" };
        writeln!(f, "{} CPUs, {build}{scale}", self.cpus)?;
        let mut scenario = "";
        for figure in &self.figures {
            if figure.scenario != scenario {
                scenario = figure.scenario;
                writeln!(f, "\n{scenario}")?;
            }
            write_figure(f, figure)?;
        }
        Ok(())
    }
}

fn write_figure(f: &mut fmt::Formatter<'_>, figure: &Figure) -> fmt::Result {
    let met = match figure.met {
        Some(true) => "✓",
        Some(false) => "✗",
        None => " ",
    };
    write!(f, "{met} {:<44}{:>10} {:<6}", figure.name, short(figure.value), figure.unit)?;
    match figure.target {
        Some(Target::AtLeast(least)) => write!(f, " ≥ {}", short(least))?,
        Some(Target::AtMost(most)) => write!(f, " ≤ {}", short(most))?,
        Some(Target::RatioAtLeast(_) | Target::RatioAtMost(_)) | None => {}
    }
    writeln!(f)?;
    if let (Some(limit), Some(ratio)) = (&figure.limit, figure.ratio) {
        write!(
            f,
            "    ÷ {:<40}{:>10} {:<6} = {ratio:.2}",
            limit.name,
            short(limit.value),
            figure.unit
        )?;
        match figure.target {
            Some(Target::RatioAtLeast(least)) => write!(f, " ≥ {least}")?,
            Some(Target::RatioAtMost(most)) => write!(f, " ≤ {most}")?,
            Some(Target::AtLeast(_) | Target::AtMost(_)) | None => {}
        }
        writeln!(f)?;
    }
    Ok(())
}

/// Three digits or so.
fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
