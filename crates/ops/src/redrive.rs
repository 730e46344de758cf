//! `onboard redrive`: what stands still goes back to work, through its
//! workflow wherever it has one.
//!
//! Every act is recorded before it is done and completed in the record after.
//! A dead letter is removed last, when what it stood for is in other hands. So
//! a run that is killed anywhere leaves at worst an act that is done again,
//! and doing any of them again is harmless: a workflow asked twice publishes
//! twice, and the inbox takes one. Two runs at once see different letters.
//!
//! When the process dies here: letters not removed are back in their order,
//! and a record without `doneAt` says what may have been done.

mod act;
mod journal;
mod letters;
mod plan;
mod registrations;
mod reopen;
mod tally;

use std::collections::BTreeMap;
use std::time::Duration;

use onboard_broker::Publisher;
use onboard_runtime::{Shutdown, Tasks, clock};
use onboard_temporal::Temporal;
use serde::Serialize;
use tokio::sync::OnceCell;
use uuid::Uuid;

use self::tally::Tally;
use crate::{Operator, OperatorError};

/// The collection of the records, in the database of the outbox.
pub const REDRIVES: &str = "redrives";

/// What is to be redriven, by whom, why, and how.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// What.
    pub selection: Selection,
    /// Only dead letters with this reason.
    pub cause: Option<String>,
    /// Only what is at least this old.
    pub older_than: Option<Duration>,
    /// At most so many acts.
    pub limit: Option<u32>,
    /// Why. Kept in MongoDB only.
    pub reason: String,
    /// Who. Kept in MongoDB only.
    pub actor: String,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
    /// Remove dead letters that are no events.
    pub discard: bool,
}

/// The union of what is chosen.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Selection {
    /// Registrations and dead letters by id.
    pub ids: Vec<String>,
    /// Dead letters.
    pub dead_letters: bool,
    /// Registrations whose acknowledgement is overdue.
    pub stalled: bool,
    /// Registrations whose workflow has ended without success or is lost.
    pub failed: bool,
    /// Rows that the relay has put off or leaves alone.
    pub quarantined: bool,
}

impl Selection {
    /// Whether nothing is chosen.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ids.is_empty()
            && !(self.dead_letters || self.stalled || self.failed || self.quarantined)
    }
}

/// What a redrive does with one case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Act {
    /// Asks the running workflow to publish again.
    Republish,
    /// Starts a fresh run of the workflow.
    Restart,
    /// Makes the row due, so that the relay starts the workflow.
    Release,
    /// Takes the acknowledgement off a row whose effect is missing, and delivers its event
    /// again.
    Reopen,
    /// Puts a message that belongs to no registration, or to another consumer than
    /// the todo service, back into its queue.
    PutBack,
    /// Removes a dead letter whose event has been applied.
    RemoveLeftover,
    /// Removes a dead letter that is no event.
    Discard,
}

impl Act {
    /// The word in records and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Republish => "republish",
            Self::Restart => "restart",
            Self::Release => "release",
            Self::Reopen => "reopen",
            Self::PutBack => "putBack",
            Self::RemoveLeftover => "removeLeftover",
            Self::Discard => "discard",
        }
    }
}

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done(Act),
    /// It would be done.
    Would(Act),
    /// There was nothing to do: it has come to its end.
    Finished,
    /// It cannot be redriven, and why.
    Left(String),
}

/// One case.
#[derive(Debug, Clone)]
pub struct Item {
    /// The registration, else the message id.
    pub id: String,
    /// The dead letter's reason, else how the registration stands.
    pub cause: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What a redrive tells while it runs.
#[derive(Debug)]
pub enum Told<'a> {
    /// So many dead letters are there to be looked at, of all queues so far.
    Letters(u32),
    /// One of them has been looked at.
    Looked,
    /// A case.
    Item(&'a Item),
}

/// A case that could not be redriven.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOver {
    /// The registration, else the message id.
    pub id: String,
    /// Why.
    pub why: String,
}

/// What a redrive came to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Names this run in the records.
    pub redrive_id: String,
    /// Whether nothing was done on purpose.
    pub dry_run: bool,
    /// By whom.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Acts by kind.
    pub acts: BTreeMap<Act, u32>,
    /// Cases that had come to their end before.
    pub finished: u32,
    /// How many could not be redriven.
    pub left_total: u32,
    /// The first of them.
    pub left: Vec<LeftOver>,
    /// Dead letters that are there now; absent when they were not asked for.
    pub dead_letters_left: Option<u32>,
}

/// One run.
pub(crate) struct Run<'a> {
    pub(crate) operator: &'a Operator,
    pub(crate) temporal: &'a Temporal,
    pub(crate) order: &'a Order,
    pub(crate) id: Uuid,
    publisher: OnceCell<Publisher>,
    tasks: Tasks,
    shutdown: Shutdown,
}

impl Operator {
    /// Redrives what the order selects, and tells how it goes.
    ///
    /// # Errors
    /// A server is away. What was done by then is done; run again.
    pub async fn redrive(
        &self,
        order: &Order,
        told: &mut dyn FnMut(Told<'_>),
    ) -> Result<Report, OperatorError> {
        let temporal = self.needed_temporal()?;
        let shutdown = Shutdown::new();
        let run = Run {
            operator: self,
            temporal,
            order,
            id: clock::ordered_id(),
            publisher: OnceCell::new(),
            tasks: Tasks::new(shutdown.clone()),
            shutdown,
        };
        let mut tally = Tally::new(order.limit, told);
        let worked = run.work(&mut tally).await;
        run.close().await;
        worked?;
        Ok(tally.report(&run))
    }
}

impl Run<'_> {
    async fn work(&self, tally: &mut Tally<'_>) -> Result<(), OperatorError> {
        let selection = &self.order.selection;
        if selection.dead_letters || !selection.ids.is_empty() {
            self.work_off_letters(tally).await?;
        }
        self.work_off_ids(tally).await?;
        if selection.stalled || selection.failed || selection.quarantined {
            self.work_off_rows(tally).await?;
        }
        Ok(())
    }

    /// Connected when the first message is put back: most runs put none back,
    /// and connecting declares the topology.
    pub(crate) async fn publisher(&self) -> &Publisher {
        let start = async || {
            let (tasks, shutdown) = (&self.tasks, self.shutdown.clone());
            Publisher::start(&self.operator.broker, "onboard redrive", tasks, shutdown)
        };
        self.publisher.get_or_init(start).await
    }

    async fn close(&self) {
        if let Some(publisher) = self.publisher.get() {
            publisher.close().await;
        }
        self.shutdown.begin();
    }
}
