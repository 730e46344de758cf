//! What a person sees while it runs: on a terminal one line that is kept up
//! to date, elsewhere one line per phase. On standard error; the report goes
//! to standard output.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::interval;

const REDRAW: Duration = Duration::from_millis(500);

/// The line.
#[derive(Debug)]
pub struct Live {
    bar: Option<ProgressBar>,
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

impl Live {
    /// On standard error, when that is a terminal.
    #[must_use]
    pub fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { bar: terminal.then(ProgressBar::new_spinner).map(styled) }
    }

    /// Says in a line of its own what begins.
    pub fn phase(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            // A closed terminal is no reason to stop the run.
            None => drop(writeln!(std::io::stderr().lock(), "{line}")),
        }
    }

    /// Runs `work` and keeps the line up to date.
    pub async fn during<T>(&self, work: impl Future<Output = T>, line: impl Fn() -> String) -> T {
        let mut work = std::pin::pin!(work);
        let mut clock = interval(REDRAW);
        loop {
            tokio::select! {
                done = &mut work => break done,
                _ = clock.tick() => self.show(line()),
            }
        }
    }

    pub(crate) fn settling(&self, left: &str) {
        self.show(format!("settling: {left}"));
    }

    /// Brings the line up to date.
    pub fn show(&self, line: String) {
        if let Some(bar) = &self.bar {
            bar.set_message(line);
            bar.tick();
        }
    }

    /// Takes the line away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn styled(bar: ProgressBar) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {wide_msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}
