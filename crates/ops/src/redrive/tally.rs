//! Counts what a run does, and knows when it has done enough.

use std::collections::{BTreeMap, HashSet};

use onboard_contract::EventId;

use super::{Act, Item, LeftOver, Outcome, PutBackWithout, Report, Run, Told};

/// How many of those that could not be redriven are named.
const NAMED_MAX: usize = 1_000;

pub(crate) struct Tally<'a> {
    limit: Option<u32>,
    told: &'a mut dyn FnMut(Told<'_>),
    acts: BTreeMap<Act, u32>,
    finished: u32,
    left_total: u32,
    left: Vec<LeftOver>,
    without: Vec<PutBackWithout>,
    letters: u32,
    dead_letters_left: Option<u32>,
    events: HashSet<EventId>,
    ids: HashSet<String>,
    of_others: HashSet<String>,
}

impl<'a> Tally<'a> {
    pub(crate) fn new(limit: Option<u32>, told: &'a mut dyn FnMut(Told<'_>)) -> Self {
        Self {
            limit,
            told,
            acts: BTreeMap::new(),
            finished: 0,
            left_total: 0,
            left: Vec::new(),
            without: Vec::new(),
            letters: 0,
            dead_letters_left: None,
            events: HashSet::new(),
            ids: HashSet::new(),
            of_others: HashSet::new(),
        }
    }

    /// How many more acts there may be.
    pub(crate) fn room(&self) -> usize {
        let done: u32 = self.acts.values().sum();
        self.limit.map_or(usize::MAX, |limit| {
            usize::try_from(limit.saturating_sub(done)).unwrap_or(usize::MAX)
        })
    }

    /// So many letters more are there to be looked at.
    pub(crate) fn letters(&mut self, more: u32) {
        self.letters += more;
        (self.told)(Told::Letters(self.letters));
    }

    pub(crate) fn looked(&mut self) {
        (self.told)(Told::Looked);
    }

    pub(crate) fn letters_left(&mut self, left: u32) {
        *self.dead_letters_left.get_or_insert_default() += left;
    }

    /// An id of the order that a letter answers to.
    pub(crate) fn answered(&mut self, id: &str) {
        self.ids.insert(id.to_owned());
    }

    /// An id of the order that a letter of another consumer has; the registration
    /// may have to be redriven as well.
    pub(crate) fn has_letter(&mut self, id: &str) {
        self.of_others.insert(id.to_owned());
    }

    /// Whether nothing but such a letter answers to the id.
    pub(crate) fn is_letter_alone(&self, id: &str, outcome: &Outcome) -> bool {
        let nothing_done = matches!(outcome, Outcome::Finished | Outcome::Left(_));
        nothing_done && self.of_others.contains(id)
    }

    pub(crate) fn is_answered(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// Whether this event has been worked on in this run.
    pub(crate) fn knows(&self, event: EventId) -> bool {
        self.events.contains(&event)
    }

    pub(crate) fn note(&mut self, event: Option<EventId>, item: &Item) {
        self.events.extend(event);
        match &item.outcome {
            Outcome::Done(act) | Outcome::Would(act) => *self.acts.entry(*act).or_default() += 1,
            Outcome::Finished => self.finished += 1,
            Outcome::Left(why) => {
                self.left_total += 1;
                if self.left.len() < NAMED_MAX {
                    self.left.push(LeftOver { id: item.id.clone(), why: why.clone() });
                }
            }
        }
        if !item.without.is_empty() && self.without.len() < NAMED_MAX {
            let properties = item.without.clone();
            self.without.push(PutBackWithout { id: item.id.clone(), properties });
        }
        (self.told)(Told::Item(item));
    }

    pub(crate) fn report(self, run: &Run<'_>) -> Report {
        Report {
            redrive_id: run.id.to_string(),
            dry_run: run.order.dry_run,
            actor: run.order.actor.clone(),
            reason: run.order.reason.clone(),
            acts: self.acts,
            finished: self.finished,
            left_total: self.left_total,
            left: self.left,
            without: self.without,
            dead_letters_left: self.dead_letters_left,
        }
    }
}
