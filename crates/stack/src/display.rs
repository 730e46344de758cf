//! What a person sees of the stack: on a terminal one line per component and
//! download bars, elsewhere one plain line per change.

use std::collections::HashMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::event::Event;
use crate::state::State;

/// The watcher of one stack.
#[derive(Debug)]
pub struct Display {
    bars: Option<MultiProgress>,
    lines: HashMap<String, ProgressBar>,
    downloads: HashMap<String, ProgressBar>,
    events: UnboundedReceiver<Event>,
}

impl Display {
    /// Draws on standard error what it is told.
    #[must_use]
    pub fn new(events: UnboundedReceiver<Event>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self {
            bars: terminal.then(MultiProgress::new),
            lines: HashMap::new(),
            downloads: HashMap::new(),
            events,
        }
    }

    /// Runs `work` and shows what happens meanwhile.
    pub async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let done = loop {
            tokio::select! {
                Some(event) = self.events.recv() => self.show(event),
                done = &mut work => break done,
            }
        };
        while let Ok(event) = self.events.try_recv() {
            self.show(event);
        }
        done
    }

    /// Says one line.
    pub fn say(&self, line: &str) {
        let done = match &self.bars {
            Some(bars) => bars.println(line),
            None => writeln!(std::io::stderr().lock(), "{line}"),
        };
        // A closed terminal is no reason to stop serving.
        done.ok();
    }

    /// From now on changes are plain lines below what is on the screen.
    pub fn settle(&mut self) {
        for (_, bar) in self.lines.drain() {
            bar.abandon();
        }
        if self.bars.take().is_some() {
            // The last bar ends without a line break.
            self.say("");
        }
    }

    fn show(&mut self, event: Event) {
        match event {
            Event::Note(line) => self.say(&line),
            Event::Moved { component, state, detail } => self.moved(&component, state, &detail),
            Event::Download { name, bytes, bytes_total } => {
                self.download(&name, bytes, bytes_total);
            }
            Event::Downloaded { name } => {
                if let Some(bar) = self.downloads.remove(&name) {
                    bar.finish_and_clear();
                }
            }
        }
    }

    fn moved(&mut self, component: &str, state: State, detail: &str) {
        if component == "epmd" && matches!(state, State::Starting | State::Ready | State::Stopped) {
            return;
        }
        let line = format!("{component:<9} {state:<10} {detail}");
        let Some(bars) = &self.bars else {
            return self.say(line.trim_end());
        };
        let bar = self.lines.entry(component.to_owned()).or_insert_with(|| bars.add(spinner()));
        bar.set_message(line.trim_end().to_owned());
        match state {
            State::Ready | State::Stopped => bar.abandon(),
            State::Starting | State::Restarting | State::Failed => {
                bar.reset();
                bar.enable_steady_tick(Duration::from_millis(120));
            }
        }
    }

    fn download(&mut self, name: &str, bytes: u64, bytes_total: u64) {
        let Some(bars) = &self.bars else { return };
        let bar = self.downloads.entry(name.to_owned()).or_insert_with(|| {
            let bar = ProgressBar::new(bytes_total).with_style(bar_style());
            bars.add(bar.with_message(name.to_owned()))
        });
        bar.set_position(bytes);
    }
}

fn spinner() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {wide_msg}");
    ProgressBar::new_spinner()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

fn bar_style() -> ProgressStyle {
    ProgressStyle::with_template("  {msg:<9} {bar:30} {bytes:>10} of {total_bytes:<10} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
