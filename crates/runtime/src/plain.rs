//! What a tool tells a person of an error: one sentence in the words of this system,
//! and what to do. The chain with the words of libraries goes to the log, which
//! `--verbose` shows.

use std::error::Error;

use crate::availability::chain;

/// An error that can be told in plain words.
pub trait Plain: Error + Sized + 'static {
    /// Says what failed and why, without a full stop and without words of libraries.
    fn words(&self) -> String;

    /// Says what the reader can do about it.
    fn remedy(&self) -> Option<&'static str> {
        None
    }
}

/// The words; the chain goes to the log.
pub fn said(error: &impl Plain) -> String {
    note(error);
    error.words()
}

/// Writes the chain of an error to the log, where a person is told something shorter.
pub fn note(error: &(dyn Error + 'static)) {
    tracing::debug!(chain = chain(error), "an error is told in plain words");
}

/// The words, and what to do; the chain goes to the log.
pub fn told(error: &impl Plain) -> String {
    let words = said(error);
    match error.remedy() {
        Some(remedy) => format!("{words}; {remedy}"),
        None => words,
    }
}
