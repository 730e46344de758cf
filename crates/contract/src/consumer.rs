//! The consumers of an event: their names, and what the event's table knows of them.
//! Nothing here runs, so nothing is lost when a process dies.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Queue;

/// The longest name of a consumer, in characters.
const NAME_MAX: usize = 32;

/// The name of a consumer: `[a-z][a-z0-9_]{0,31}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConsumerName(Cow<'static, str>);

/// The text is no name of a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a consumer's name begins with a-z and has at most 32 of a-z, 0-9 and _")]
pub struct InvalidConsumerName;

impl ConsumerName {
    /// A name that stands in the code.
    ///
    /// # Panics
    /// The text is no name of a consumer: at compile time, in a constant.
    #[must_use]
    pub const fn constant(name: &'static str) -> Self {
        assert!(!name.is_empty() && name.len() <= NAME_MAX, "a name has 1 to 32 characters");
        Self(Cow::Borrowed(name))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ConsumerName {
    type Err = InvalidConsumerName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let begins = text.starts_with(|first: char| first.is_ascii_lowercase());
        let goes_on = text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if begins && goes_on && text.len() <= NAME_MAX {
            Ok(Self(Cow::Owned(text.to_owned())))
        } else {
            Err(InvalidConsumerName)
        }
    }
}

impl TryFrom<String> for ConsumerName {
    type Error = InvalidConsumerName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ConsumerName> for String {
    fn from(name: ConsumerName) -> Self {
        name.0.into_owned()
    }
}

impl fmt::Display for ConsumerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A consumer of an event, as the event's table has it.
#[derive(Debug)]
pub struct EventConsumer {
    /// Its name.
    pub name: ConsumerName,
    /// Its queue, where that has another name than [`Queue::for_event`] makes.
    pub queue: Option<Queue>,
    /// Whether it answers, on a task queue of its own in Temporal, whether it has
    /// processed an event. A consumer that does not is never asked.
    pub answers: bool,
    /// The `ref` that it acknowledges with, where that follows from the aggregate. Any
    /// other one does not count.
    pub reference: Option<fn(Uuid) -> Uuid>,
    /// How long after a publish its acknowledgement is overdue. Absent: as the setting
    /// `REGISTRATION_OVERDUE` says.
    pub patience: Option<Duration>,
}

impl EventConsumer {
    /// One that answers no question and acknowledges with a `ref` of its own choice.
    #[must_use]
    pub const fn plain(name: ConsumerName) -> Self {
        Self { name, queue: None, answers: false, reference: None, patience: None }
    }

    /// The same, whose acknowledgement is overdue after this time.
    #[must_use]
    pub const fn patient(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_lower_case_and_short() {
        for name in ["a", "crm", "search_2", &"a".repeat(32)] {
            assert_eq!(name.parse::<ConsumerName>().unwrap().as_str(), name);
        }
        for name in ["", "Crm", "2crm", "_crm", "c-rm", "c.rm", "crm ", "kü", &"a".repeat(33)] {
            assert_eq!(name.parse::<ConsumerName>(), Err(InvalidConsumerName), "{name:?}");
        }
    }
}
