//! How far the audit is, on a terminal alone.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};
use onboard_ops::audit::Progress;

const LINE: &str = "{msg:<14} {bar:30} {human_pos} of {human_len}";

/// One line on standard error, which goes away at the end.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template(LINE) {
            bar.set_style(style);
        }
        Self(bar)
    }

    pub(super) fn show(&self, progress: Progress) {
        self.0.set_message(progress.pass.as_str());
        self.0.set_length(progress.total);
        self.0.set_position(progress.done);
    }

    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}
