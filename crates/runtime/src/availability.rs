//! Says once when a server goes away and once when it comes back.

use std::error::Error;
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a server answers, as last seen.
#[derive(Debug)]
pub struct Availability {
    server: &'static str,
    down: AtomicBool,
}

impl Availability {
    /// A server that is believed to be there.
    #[must_use]
    pub const fn new(server: &'static str) -> Self {
        Self { server, down: AtomicBool::new(false) }
    }

    /// It answered. Returns whether that is news.
    pub fn up(&self) -> bool {
        let news = self.down.swap(false, Ordering::Relaxed);
        if news {
            tracing::info!(server = self.server, "{} answers again", self.server);
        }
        news
    }

    /// It did not answer. Returns whether that is news.
    pub fn down(&self, cause: &dyn Display) -> bool {
        let news = !self.down.swap(true, Ordering::Relaxed);
        if news {
            tracing::warn!(
                server = self.server,
                cause = %cause,
                "{} is unavailable; work waits and is retried",
                self.server
            );
        }
        news
    }

    /// Reports what a try says: up, or down with the whole chain of the error.
    /// Returns the try's own outcome.
    ///
    /// # Errors
    /// The error of the try.
    pub fn report<T, E: Error + 'static>(&self, tried: Result<T, E>) -> Result<T, E> {
        match &tried {
            Ok(_) => self.up(),
            Err(error) => self.down(&chain(error)),
        };
        tried
    }

    /// Whether it answered when last asked.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !self.down.load(Ordering::Relaxed)
    }
}

/// The whole chain of an error on one line.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_is_news() {
        let server = Availability::new("mongo");
        assert!(!server.up());
        assert!(server.down(&"refused"));
        assert!(!server.down(&"refused"));
        assert!(!server.is_up());
        assert!(server.up());
        assert!(server.is_up());
    }
}
