//! What must hold of one event, in one list of rules.
//!
//! Each rule looks at a [`Case`] and says what it finds, for each who asks: the
//! violation that the audit counts, the link that `show` misses, the reason that
//! `list` gives, and the act by which `redrive` heals it. A rule says nothing about
//! what nobody has looked at. Rules are pure: nothing is lost when a process dies.

mod consumers;
mod held;
pub(crate) mod inbox;
mod row;
mod workflow;

use std::borrow::Cow;

use crate::audit::Kind;
use crate::case::Case;
use crate::redrive::Act;

/// What a rule has found.
#[derive(Debug, Default)]
pub(crate) struct Finding {
    /// What the audit counts it as, in its words.
    pub(crate) violation: Option<(Kind, Cow<'static, str>)>,
    /// The link that is missing, in the words of `show`.
    pub(crate) missing: Option<Cow<'static, str>>,
    /// What is worth knowing and no missing link.
    pub(crate) note: Option<Cow<'static, str>>,
    /// Whether the audit tells the note, too.
    pub(crate) audited: bool,
    /// What it waits for, or why it does not go on, in a few words.
    pub(crate) reason: Option<String>,
    /// The command of another tool that ends it. `redrive` leaves it alone then.
    pub(crate) next: Option<String>,
    /// What heals it.
    pub(crate) remedy: Option<Act>,
}

type Rule = fn(&Case, &mut Vec<Finding>);

/// The rules for an event whose row retention has not removed, in the order of the
/// event's way.
const OF_A_ROW: [Rule; 10] = [
    row::has_its_user,
    row::is_there,
    row::is_sound,
    row::is_not_quarantined,
    row::is_marked,
    workflow::stands_as_the_row_says,
    workflow::has_a_confirm,
    consumers::have_acknowledged,
    inbox::has_the_record,
    inbox::has_the_todo,
];

/// The rules for one whose row was removed when it had come to its end.
const OF_A_REMOVED_ROW: [Rule; 2] = [row::was_removed, inbox::has_the_todo];

/// The rules for each event.
const OF_ALL: [Rule; 2] = [consumers::have_no_dead_letters, row::has_come_to_its_end];

/// Judges a case by every rule.
pub(crate) fn judge(case: &Case) -> Vec<Finding> {
    let mut found = Vec::new();
    let of_row = if case.row_removed { &OF_A_REMOVED_ROW[..] } else { &OF_A_ROW };
    for rule in of_row.iter().chain(&OF_ALL) {
        rule(case, &mut found);
    }
    found
}

impl Finding {
    pub(crate) fn missing(words: impl Into<Cow<'static, str>>) -> Self {
        Self { missing: Some(words.into()), ..Self::default() }
    }

    pub(crate) fn note(words: impl Into<Cow<'static, str>>) -> Self {
        Self { note: Some(words.into()), ..Self::default() }
    }

    pub(crate) fn audited(self) -> Self {
        Self { audited: true, ..self }
    }

    pub(crate) fn counted(self, kind: Kind, words: impl Into<Cow<'static, str>>) -> Self {
        Self { violation: Some((kind, words.into())), ..self }
    }

    pub(crate) fn with_reason(self, words: impl Into<String>) -> Self {
        Self { reason: Some(words.into()), ..self }
    }

    pub(crate) fn with_next(self, command: impl Into<String>) -> Self {
        Self { next: Some(command.into()), ..self }
    }

    pub(crate) fn healed_by(self, act: Act) -> Self {
        Self { remedy: Some(act), ..self }
    }
}

#[cfg(test)]
mod tests;
