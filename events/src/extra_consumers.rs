//! The consumers of a registration that a setting adds: those in other languages, which
//! acknowledge over the broker (`onboard_contract::acknowledged`). Nothing here runs, so
//! nothing is lost when a process dies.

use std::str::FromStr;

use onboard_contract::ConsumerName;
use onboard_contract::consumer::InvalidConsumerName;

use crate::UserRegistered;
use crate::user_registered::USER_REGISTERED;

/// So many consumers a setting may add: each costs a message and a few events
/// of the workflow per registration.
const EXTRA_MAX: usize = 16;

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
            if !is_own(&name) && !each.contains(&name) {
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
        own().cloned().chain(self.0.iter().cloned()).collect()
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
            if is_own(&name) || names.contains(&name) {
                return Err(InvalidExtraConsumers::Taken(name));
            }
            names.push(name);
        }
        if names.len() > EXTRA_MAX { Err(InvalidExtraConsumers::TooMany) } else { Ok(Self(names)) }
    }
}

/// The consumers of this program.
fn own() -> impl Iterator<Item = &'static ConsumerName> {
    UserRegistered::TYPE.consumer_names()
}

fn is_own(name: &ConsumerName) -> bool {
    own().any(|own| own == name)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("todo:USER_REGISTERED", Taken(crate::TODO)),
            ("crm:USER_REGISTERED,crm:USER_REGISTERED", Taken(crm)),
            (&many.join(","), TooMany),
        ];
        for (text, error) in table {
            assert_eq!(text.parse::<ExtraConsumers>(), Err(error), "{text}");
        }
    }
}
