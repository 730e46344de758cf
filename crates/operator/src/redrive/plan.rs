//! What is to be done with one case, decided from what the stores say.

use onboard_broker::DeadLetter;
use onboard_contract::{EventId, Stage};
use onboard_runtime::availability::chain;
use onboard_store::{Outbox, StoreError};
use onboard_temporal::{Execution, ExecutionStatus};

use super::{Act, Run};
use crate::{OperatorError, Row};

/// What the stores say about an event.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) row: Option<Row>,
    /// Why the row cannot be published as it is.
    pub(crate) damage: Option<String>,
    pub(crate) execution: Option<Execution>,
    /// Whether the inbox has it.
    pub(crate) applied: bool,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    Do(Act),
    /// It has come to its end.
    Finished,
    /// It cannot be redriven, and why.
    Leave(String),
}

impl Run<'_> {
    pub(crate) async fn facts(&self, event: Option<EventId>) -> Result<Facts, OperatorError> {
        let Some(event) = event else { return Ok(Facts::default()) };
        let (row, inbox, execution) = tokio::join!(
            self.operator.find_row(event),
            self.operator.find_inbox(event),
            self.temporal.find_execution(event),
        );
        let (row, applied) = (row?, inbox?.is_some());
        let execution = execution.map_err(OperatorError::Temporal)?;
        let damage = if row.is_some() { self.damage(event).await? } else { None };
        Ok(Facts { row, damage, execution, applied })
    }

    /// Asks as the publish activity does.
    async fn damage(&self, event: EventId) -> Result<Option<String>, OperatorError> {
        match Outbox::new(&self.operator.mongo).find(event).await {
            Ok(Some(_)) => Ok(None),
            Ok(None) => Ok(Some("it is no row of this event type".to_owned())),
            Err(error @ StoreError::Corrupt { .. }) => Ok(Some(chain(&error))),
            Err(error) => Err(OperatorError::Store(error)),
        }
    }
}

/// Decides. `discard` lets letters go that are no events.
pub(crate) fn plan(facts: &Facts, letter: Option<&DeadLetter>, discard: bool) -> Plan {
    let is_event = letter.map(|letter| letter.is_event);
    match (&facts.row, is_event) {
        (Some(row), _) => with_row(row, facts, is_event.is_some()),
        (None, Some(_)) if facts.applied => Plan::Do(Act::RemoveLeftover),
        (None, Some(true)) => Plan::Do(Act::PutBack),
        (None, Some(false)) if discard => Plan::Do(Act::Discard),
        (None, Some(false)) => Plan::Leave(
            "it is no event and belongs to no registration; --discard removes it".to_owned(),
        ),
        (None, None) => Plan::Leave("there is no registration with this id".to_owned()),
    }
}

fn with_row(row: &Row, facts: &Facts, has_letter: bool) -> Plan {
    let over = || match (facts.applied, has_letter) {
        (true, true) => Plan::Do(Act::RemoveLeftover),
        (true, false) => Plan::Finished,
        (false, _) => Plan::Leave(
            "its workflow has completed and never runs again, yet the inbox has no record of it; \
             see what `onboard audit` says"
                .to_owned(),
        ),
    };
    let act = match facts.execution.as_ref().map(|execution| execution.status) {
        Some(ExecutionStatus::Completed) => return over(),
        Some(ExecutionStatus::Running) => Act::Republish,
        // Temporal forgets what has ended; the row does not.
        None if row.stage == Stage::Acknowledged => return over(),
        None if row.stage == Stage::Pending => Act::Release,
        None | Some(_) => Act::Restart,
    };
    match &facts.damage {
        Some(damage) => Plan::Leave(format!("its outbox row must be mended first: {damage}")),
        None => Plan::Do(act),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::id;
    use mongodb::bson::{DateTime, Document, doc};
    use uuid::Uuid;

    fn row(extra: Document) -> Row {
        let mut row = doc! { "_id": id(Uuid::from_u128(1)), "status": "PENDING" };
        row.extend(extra);
        Row::read(&row, 0, 0).unwrap()
    }

    fn sent() -> Row {
        row(doc! { "status": "SENT", "sentAt": DateTime::from_millis(0) })
    }

    fn acknowledged() -> Row {
        row(doc! { "status": "SENT", "acknowledgedAt": DateTime::from_millis(0) })
    }

    fn execution(status: ExecutionStatus) -> Execution {
        Execution {
            workflow_id: String::new(),
            run_id: String::new(),
            status,
            history_events: 0,
            pending: None,
        }
    }

    fn decide(row: &Row, ended: Option<ExecutionStatus>, applied: bool, letter: bool) -> Plan {
        let facts = Facts { execution: ended.map(execution), applied, ..Facts::default() };
        with_row(row, &facts, letter)
    }

    #[test]
    fn a_registration_goes_back_through_its_workflow() {
        use ExecutionStatus::{Cancelled, Failed, Running, Terminated, TimedOut};
        assert_eq!(decide(&sent(), Some(Running), false, true), Plan::Do(Act::Republish));
        for ended in [Failed, Cancelled, Terminated, TimedOut] {
            assert_eq!(decide(&sent(), Some(ended), false, false), Plan::Do(Act::Restart));
        }
        assert_eq!(decide(&sent(), None, false, false), Plan::Do(Act::Restart));
        assert_eq!(decide(&row(doc! {}), None, false, false), Plan::Do(Act::Release));
    }

    #[test]
    fn what_has_completed_never_runs_again() {
        let completed = Some(ExecutionStatus::Completed);
        assert_eq!(decide(&acknowledged(), completed, true, true), Plan::Do(Act::RemoveLeftover));
        assert_eq!(decide(&acknowledged(), completed, true, false), Plan::Finished);
        assert_eq!(decide(&acknowledged(), None, true, true), Plan::Do(Act::RemoveLeftover));
        for letter in [true, false] {
            let left = decide(&acknowledged(), completed, false, letter);
            assert!(matches!(left, Plan::Leave(_)), "{left:?}");
        }
    }

    #[test]
    fn a_damaged_row_is_mended_before_it_is_redriven() {
        let facts = Facts { damage: Some("no e-mail".to_owned()), ..Facts::default() };
        let left = with_row(&sent(), &facts, true);
        assert!(matches!(left, Plan::Leave(why) if why.contains("no e-mail")));
    }
}
