//! One work: look, decide, record, act, remove the letter, complete.

use mongodb::bson::{DateTime, doc};
use onboard_broker::{DeadLetter, DeadLetters, Publisher, PutBackError};
use onboard_contract::EventId;
use onboard_events::TODO_QUEUE;
use onboard_fault::{Step, step};
use onboard_runtime::clock;
use onboard_runtime::plain::said;
use onboard_temporal::{ExecutionStatus, Signalled, Started, TemporalError};
use uuid::Uuid;

use super::plan::{Facts, Plan, by_routing_key, is_acknowledgement, plan, plan_other};
use super::{Act, Item, Outcome, Run};
use crate::OperatorError;
use crate::error::bounded;
use crate::operator::id;
use crate::rules::inbox::is_undone;

/// How often a case is looked at again that changes while it is worked on.
const LOOKS_MAX: usize = 3;

/// How often a message is put back before RabbitMQ counts as away. A try waits
/// 2 s for the connection and then for the confirm.
const PUT_BACK_TRIES: u32 = 5;

/// Why a workflow was not asked.
const BUSY: &str = "its workflow is about to end, or busy, and takes no signal now; run again";

/// What is worked on.
#[derive(Clone, Copy)]
pub(crate) struct Work<'a> {
    pub(crate) event: Option<EventId>,
    pub(crate) letter: Option<(&'a DeadLetters, &'a DeadLetter)>,
    /// Leave it when its workflow runs or has completed.
    pub(crate) only_ended: bool,
}

/// What an act met.
pub(crate) enum Performed {
    Yes,
    /// The case is another than it was.
    Overtaken,
    Refused(String),
}

impl Run<'_> {
    /// Works on one work; `None` when it is none of this run's.
    pub(crate) async fn redrive_one(&self, work: Work<'_>) -> Result<Option<Item>, OperatorError> {
        for _ in 0..LOOKS_MAX {
            let other =
                work.letter.map(|(_, letter)| letter).filter(|it| *it.queue() != TODO_QUEUE);
            let letter = work.letter.map(|(_, letter)| letter);
            let facts = match other {
                Some(_) => Facts::default(),
                None => self.facts(work.event, letter).await?,
            };
            let cause = cause(&work, &facts);
            let item = |outcome| Ok(Some(item(&work, cause.clone(), outcome)));
            let planned = match other {
                Some(letter) => plan_other(letter, self.order.discard),
                None => plan(&facts, letter, self.order.discard),
            };
            let act = match planned {
                Plan::Do(Act::Republish) | Plan::Finished if work.only_ended => return Ok(None),
                Plan::Do(act) if self.order.dry_run => return item(Outcome::Would(act)),
                Plan::Do(act) => act,
                Plan::Finished => return item(Outcome::Finished),
                Plan::Leave(why) => return item(Outcome::Left(why)),
            };
            let record = self.record(&work, act, &cause).await?;
            match self.perform(&work, &facts, (act, record)).await? {
                Performed::Yes => {
                    if let Some((letters, letter)) = work.letter {
                        letters.settle(letter).await.map_err(OperatorError::Broker)?;
                    }
                    self.complete(record).await?;
                    return item(Outcome::Done(act));
                }
                Performed::Overtaken => self.overtaken(record).await?,
                Performed::Refused(why) => return item(Outcome::Left(why)),
            }
        }
        let why = "it changed while it was looked at; run again".to_owned();
        let cause = work.letter.map_or_else(String::new, |(_, letter)| letter.reason.clone());
        Ok(Some(item(&work, cause, Outcome::Left(why))))
    }

    async fn perform(
        &self,
        work: &Work<'_>,
        facts: &Facts,
        (act, record): (Act, Uuid),
    ) -> Result<Performed, OperatorError> {
        match (act, work.event, work.letter) {
            (Act::Republish, Some(event), _) => self.republish(event, facts).await,
            (Act::Restart, Some(event), _) => self.restart(event, facts).await,
            (Act::Release, Some(event), _) => self.release(event).await,
            (Act::Reopen, Some(event), _) => self.reopen(event, facts, record).await,
            (Act::PutBack, _, Some((letters, letter))) => self.put_back(letters, letter).await,
            // Removing the letter is the act.
            (Act::RemoveLeftover | Act::Discard, _, Some(_)) => Ok(Performed::Yes),
            (_, None, _) | (Act::PutBack | Act::RemoveLeftover | Act::Discard, _, None) => {
                Ok(Performed::Overtaken)
            }
        }
    }

    /// The first try may find the connection not open yet. A publish whose
    /// confirm was not seen is made again under the same message id. A message that
    /// RabbitMQ does not take holds up no other.
    async fn put_back(
        &self,
        letters: &DeadLetters,
        letter: &DeadLetter,
    ) -> Result<Performed, OperatorError> {
        let publisher = self.publisher().await;
        let mut tries = 1;
        loop {
            match step(Step("redrive.put_back"), put_back_once(letter, publisher)).await {
                Ok(()) => return Ok(Performed::Yes),
                Err(PutBackError::NotNow(error)) if tries < PUT_BACK_TRIES => {
                    tracing::debug!(%error, "once more");
                }
                Err(error) => {
                    // Whether RabbitMQ answers at all; otherwise the run ends.
                    letters.count().await.map_err(OperatorError::Broker)?;
                    let queue = &letter.queue().name;
                    let why = format!("RabbitMQ did not take it back into {queue}: {error}");
                    return Ok(Performed::Refused(why));
                }
            }
            tries += 1;
        }
    }

    pub(crate) async fn republish(
        &self,
        event: EventId,
        facts: &Facts,
    ) -> Result<Performed, OperatorError> {
        let known = facts.case.known_type();
        let Some(event_type) = known else { return Ok(Performed::Overtaken) };
        let redrive = self.id.to_string();
        let asked = self.temporal.republish(event_type, event, &redrive);
        match step(Step("redrive.signal"), asked).await {
            Ok(Signalled::Delivered) => Ok(Performed::Yes),
            Ok(Signalled::NoWorkflow) => Ok(Performed::Overtaken),
            Ok(Signalled::Busy) => Ok(Performed::Refused(BUSY.to_owned())),
            Err(error) => refused(error),
        }
    }

    pub(crate) async fn restart(
        &self,
        event: EventId,
        facts: &Facts,
    ) -> Result<Performed, OperatorError> {
        let row = facts.case.row.as_ref();
        let Some(start) = row.and_then(|row| row.start(self.operator.overdue_ms())) else {
            return Ok(Performed::Refused(
                "its outbox row does not say what it is about".to_owned(),
            ));
        };
        let completed = facts.case.workflow.found().map(|run| run.status);
        let started = if completed == Some(ExecutionStatus::Completed) {
            // What the row says now is said after the run has completed.
            let outbox = self.operator.mongo.deliveries();
            let awaits = outbox.awaits_acknowledgement(event).await;
            if !awaits.map_err(OperatorError::Store)? {
                return Ok(Performed::Overtaken);
            }
            step(Step("redrive.restart"), self.temporal.repeat_workflow(&start)).await
        } else {
            step(Step("redrive.restart"), self.temporal.restart_workflow(&start)).await
        };
        match started {
            Ok(Started::Now) => Ok(Performed::Yes),
            Ok(Started::Already) => Ok(Performed::Overtaken),
            Err(error) => refused(error),
        }
    }

    /// Makes the row due and ends its quarantine; the relay does the rest.
    async fn release(&self, event: EventId) -> Result<Performed, OperatorError> {
        let outbox = self.operator.mongo.outbox();
        let update = outbox.update_one(
            doc! { "_id": id(event.uuid()), "status": "PENDING" },
            doc! {
                "$set": { "nextAttemptAt": DateTime::from_millis(clock::now_ms()) },
                "$unset": { "quarantinedAt": "", "refusals": "" },
            },
        );
        let update = bounded("make the row due", update);
        let released = step(Step("redrive.release"), update).await?;
        Ok(if released.matched_count == 1 { Performed::Yes } else { Performed::Overtaken })
    }
}

/// The worker goes by the routing key of an acknowledgement, which its queue's
/// exchange keeps.
async fn put_back_once(letter: &DeadLetter, publisher: &Publisher) -> Result<(), PutBackError> {
    if !is_acknowledgement(letter) {
        return letter.put_back(publisher).await;
    }
    match by_routing_key(&letter.routing_key, &letter.body, &letter.reason) {
        Ok(key) => letter.put_back_by(publisher, &key).await,
        // It was looked at before.
        Err(_) => letter.put_back(publisher).await,
    }
}

/// What passes by itself ends the run; what does not concerns this case alone.
fn refused(error: TemporalError) -> Result<Performed, OperatorError> {
    if error.is_retryable() {
        return Err(OperatorError::Temporal(error));
    }
    Ok(Performed::Refused(said(&error)))
}

fn cause(work: &Work<'_>, facts: &Facts) -> String {
    if let Some((_, letter)) = work.letter {
        return letter.reason.clone();
    }
    match (&facts.case.row, facts.case.workflow.found()) {
        (Some(row), _) if row.quarantined_at.is_some() => "quarantined".to_owned(),
        (Some(row), _) if is_undone(&facts.case) => format!("{}, effect missing", row.stage),
        (Some(row), Some(run)) if run.status.ended_without_success() => {
            format!("{}, workflow {}", row.stage, run.status.as_str())
        }
        (Some(row), None) if row.started_at.is_some() => format!("{}, workflow lost", row.stage),
        (Some(row), _) => row.stage.to_string(),
        (None, _) => "unknown".to_owned(),
    }
}

fn item(work: &Work<'_>, cause: String, outcome: Outcome) -> Item {
    let put_back = matches!(outcome, Outcome::Done(Act::PutBack) | Outcome::Would(Act::PutBack));
    let letter = work.letter.map(|(_, letter)| letter).filter(|_| put_back);
    let without = letter.map(DeadLetter::dropped).unwrap_or_default();
    Item { id: name(work), cause, outcome, without }
}

fn name(work: &Work<'_>) -> String {
    let letter = work.letter.map(|(_, letter)| letter);
    work.event
        .map(|event| event.to_string())
        .or_else(|| letter.and_then(|letter| letter.message_id.clone()))
        .unwrap_or_else(|| "a message without id".to_owned())
}
