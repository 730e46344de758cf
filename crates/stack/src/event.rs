//! What the stack tells while it works; the display turns it into lines.

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::State;

/// Something a person watching would want to know.
#[derive(Debug, Clone)]
pub enum Event {
    /// A component moved to a state.
    Moved {
        /// The component's name.
        component: String,
        /// Where it is now.
        state: State,
        /// Why, or where: port, exit status, log file.
        detail: String,
    },
    /// A download is under way.
    Download {
        /// What is fetched.
        name: String,
        /// Bytes on disk so far.
        bytes: u64,
        /// Bytes expected.
        bytes_total: u64,
    },
    /// A download ended, well or not.
    Downloaded {
        /// What was fetched.
        name: String,
    },
    /// Anything else, in one line.
    Note(String),
}

/// Where events go; silent when nobody listens.
#[derive(Debug, Clone, Default)]
pub struct Events(Option<UnboundedSender<Event>>);

impl Events {
    /// A sink and its other end.
    #[must_use]
    pub fn channel() -> (Self, UnboundedReceiver<Event>) {
        let (sender, receiver) = unbounded_channel();
        (Self(Some(sender)), receiver)
    }

    /// A sink that forgets everything.
    #[must_use]
    pub fn silent() -> Self {
        Self(None)
    }

    /// Tells a line.
    pub fn note(&self, line: impl Into<String>) {
        self.send(Event::Note(line.into()));
    }

    pub(crate) fn send(&self, event: Event) {
        if let Some(sender) = &self.0 {
            // Nobody listens any more: there is nobody to tell.
            drop(sender.send(event));
        }
    }
}
