//! The consumers of an event: their names, and those that a setting adds.
//!
//! Consumers of this program are known when it is built. A consumer in another
//! language is named by the setting `EXTRA_CONSUMERS`; it acknowledges over the
//! broker (see [`crate::acknowledged`]). Nothing here runs, so nothing is lost
//! when a process dies.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Queue;
use crate::names::USER_REGISTERED;

/// The longest name of a consumer, in characters.
const NAME_MAX: usize = 32;
/// So many consumers a setting may add: each costs a message and a few events
/// of the workflow per registration.
const EXTRA_MAX: usize = 16;

/// The name of a consumer: `[a-z][a-z0-9_]{0,31}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConsumerName(Cow<'static, str>);

/// The text is no name of a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a consumer's name begins with a-z and has at most 32 of a-z, 0-9 and _")]
pub struct InvalidConsumerName;

impl ConsumerName {
    /// The todo service, which every registration waits for.
    pub const TODO: Self = Self(Cow::Borrowed("todo"));

    /// The consumer that rows of released builds expect, which name none.
    pub const RELEASED: Self = Self::TODO;

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
}

impl EventConsumer {
    /// One that answers no question and acknowledges with a `ref` of its own choice.
    #[must_use]
    pub const fn plain(name: ConsumerName) -> Self {
        Self { name, queue: None, answers: false, reference: None }
    }
}

/// Consumers of `USER_REGISTERED` beside those of this program: the value of
/// `EXTRA_CONSUMERS`, in its order. Its text is a list such as
/// `crm:USER_REGISTERED,search:USER_REGISTERED`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtraConsumers(Vec<ConsumerName>);

/// Why a text is no list of consumers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidExtraConsumers {
    /// An entry has no event type.
    #[error("\"{0}\" is not of the form name:EVENT_TYPE, such as crm:USER_REGISTERED")]
    NoEventType(String),
    /// An entry names no consumer.
    #[error("\"{0}\": {InvalidConsumerName}")]
    Name(String),
    /// An entry names an event type that this build does not know.
    #[error("\"{0}\" names an event type that this build does not know ({USER_REGISTERED})")]
    EventType(String),
    /// The name is that of a consumer of this program, or stands there twice.
    #[error("the name \"{0}\" is taken")]
    Taken(ConsumerName),
    /// There are too many.
    #[error("more than {EXTRA_MAX} consumers")]
    TooMany,
}

impl ExtraConsumers {
    /// These names, each once; the consumers of this program are left out.
    #[must_use]
    pub fn of(names: impl IntoIterator<Item = ConsumerName>) -> Self {
        let mut each: Vec<ConsumerName> = Vec::new();
        for name in names {
            if name != ConsumerName::TODO && !each.contains(&name) {
                each.push(name);
            }
        }
        Self(each)
    }

    /// The names, in the order of the setting.
    #[must_use]
    pub fn names(&self) -> &[ConsumerName] {
        &self.0
    }

    /// Every consumer that a new event expects: those of this program first.
    #[must_use]
    pub fn expected(&self) -> Vec<ConsumerName> {
        std::iter::once(ConsumerName::TODO).chain(self.0.iter().cloned()).collect()
    }
}

impl FromStr for ExtraConsumers {
    type Err = InvalidExtraConsumers;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut names: Vec<ConsumerName> = Vec::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let told = || entry.to_owned();
            let (name, event_type) =
                entry.split_once(':').ok_or_else(|| InvalidExtraConsumers::NoEventType(told()))?;
            let name: ConsumerName =
                name.parse().map_err(|InvalidConsumerName| InvalidExtraConsumers::Name(told()))?;
            if event_type != USER_REGISTERED {
                return Err(InvalidExtraConsumers::EventType(told()));
            }
            if name == ConsumerName::TODO || names.contains(&name) {
                return Err(InvalidExtraConsumers::Taken(name));
            }
            names.push(name);
        }
        if names.len() > EXTRA_MAX { Err(InvalidExtraConsumers::TooMany) } else { Ok(Self(names)) }
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

    #[test]
    fn a_list_of_extra_consumers_keeps_its_order() {
        let extra: ExtraConsumers = "search:USER_REGISTERED, crm:USER_REGISTERED,".parse().unwrap();
        let names: Vec<&str> = extra.names().iter().map(ConsumerName::as_str).collect();
        assert_eq!(names, ["search", "crm"]);
        let expected = extra.expected();
        let expected: Vec<&str> = expected.iter().map(ConsumerName::as_str).collect();
        assert_eq!(expected, ["todo", "search", "crm"]);
        assert_eq!("".parse::<ExtraConsumers>().unwrap(), ExtraConsumers::default());
    }

    #[test]
    fn names_make_a_list_without_those_of_this_program() {
        let names = ["crm", "todo", "search", "crm"].map(|name| name.parse().unwrap());
        let extra = ExtraConsumers::of(names);
        let names: Vec<&str> = extra.names().iter().map(ConsumerName::as_str).collect();
        assert_eq!(names, ["crm", "search"]);
    }

    #[test]
    fn what_is_no_list_is_said_in_words() {
        use InvalidExtraConsumers::{EventType, Name, NoEventType, Taken, TooMany};
        let crm: ConsumerName = "crm".parse().unwrap();
        let many: Vec<String> = (0..17).map(|n| format!("c{n}:USER_REGISTERED")).collect();
        let table = [
            ("crm", NoEventType("crm".to_owned())),
            ("Crm:USER_REGISTERED", Name("Crm:USER_REGISTERED".to_owned())),
            ("crm:ORDER_PLACED", EventType("crm:ORDER_PLACED".to_owned())),
            ("todo:USER_REGISTERED", Taken(ConsumerName::TODO)),
            ("crm:USER_REGISTERED,crm:USER_REGISTERED", Taken(crm)),
            (&many.join(","), TooMany),
        ];
        for (text, error) in table {
            assert_eq!(text.parse::<ExtraConsumers>(), Err(error), "{text}");
        }
    }
}
