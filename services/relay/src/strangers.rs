//! Looks for workflows that run on the task queue and that no outbox row owns: somebody
//! has started them by hand, or with another program.
//!
//! Every workflow that has not ended is looked at, a page at a time, since only the
//! outbox knows which of them it owns. A pass over many takes as many rounds, and what
//! it has found is told at its end, or as soon as it is more than before. Nothing is
//! written: a process that dies here begins a pass anew.

use onboard_outbox::Outbox;
use onboard_temporal::{Open, OpenPage, OpenWorkflow, Temporal};

/// Workflows looked at in one round.
const PAGE: u16 = 200;

/// A look that goes on over many rounds.
#[derive(Debug)]
pub(crate) struct Strangers {
    outbox: Outbox,
    next: Option<Vec<u8>>,
    found: u64,
    before: u64,
}

impl Strangers {
    pub(crate) const fn new(outbox: Outbox) -> Self {
        Self { outbox, next: None, found: 0, before: 0 }
    }

    /// Looks at the next page; how many there are, as far as is known. `None` when
    /// Temporal or MongoDB does not answer.
    pub(crate) async fn look(&mut self, temporal: &Temporal) -> Option<u64> {
        // After a look without an answer a new pass begins.
        let from = self.next.take();
        if from.is_none() {
            self.found = 0;
        }
        let page = temporal.open_page(Open::All, from, PAGE).await.ok()?;
        let without = without_row(&self.outbox, &page).await?;
        self.found += without;
        self.next = page.next;
        let known = self.before.max(self.found);
        if self.next.is_none() {
            self.before = self.found;
            return Some(self.before);
        }
        Some(known)
    }
}

/// How many of the page are of a known type and have no row. Those of an unknown type
/// are counted apart.
async fn without_row(outbox: &Outbox, page: &OpenPage) -> Option<u64> {
    let of_an_event = |one: &&OpenWorkflow| onboard_events::has_workflows_of(&one.workflow_type);
    let known: Vec<_> = page.found.iter().filter(of_an_event).collect();
    let event =
        |one: &&OpenWorkflow| onboard_events::of_workflow(&one.workflow_type, &one.workflow_id);
    let events: Vec<_> = known.iter().filter_map(event).collect();
    let rows = outbox.present(&events).await.ok()?;
    let owned = events.iter().filter(|event| rows.contains(event)).count();
    u64::try_from(known.len().saturating_sub(owned)).ok()
}
