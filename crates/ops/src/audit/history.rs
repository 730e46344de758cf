//! What the history of a finished event must hold: every step, in its order, about
//! the right ids. An input that names its consumers is judged by `delivery`, one
//! without by the plan of released builds, which knew registrations alone.

use onboard_contract::message::Workflow;
use onboard_contract::names::{ACTIVITY_MARK_SENT, ACTIVITY_PUBLISH_EVENT, ACTIVITY_RECORD};
use onboard_contract::workflow::{DeliveryInput, EventRef};
use onboard_events::registration::ACTIVITY_PUBLISH;
use onboard_events::todo::{ACTIVITY_CHECK, SIGNAL_ACKNOWLEDGED};
use onboard_events::{Acknowledgement, RegistrationInput, RegistrationProgress, TodoId};
use serde::de::DeserializeOwned;
use temporalio_common::protos::temporal::api::common::v1::Payloads;
use temporalio_common::protos::temporal::api::history::v1::HistoryEvent;
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;

use crate::audit::sample::Finished;

mod delivery;
mod local;

const OTHER_IDS: &str = "its input names other ids than the row";

/// What the history lacks, if anything. A run that continues an earlier one
/// has published there.
pub(crate) fn flaw(events: &[HistoryEvent], one: Finished) -> Option<String> {
    match one.event_type.workflow {
        Workflow::Delivery => flaw_of_delivery(events, one),
        Workflow::Own(_) if onboard_events::is_registration(one.event_type) => {
            flaw_of_registration(events, one)
        }
        // Its steps are its own.
        Workflow::Own(_) => None,
    }
}

fn flaw_of_delivery(events: &[HistoryEvent], one: Finished) -> Option<String> {
    let input: DeliveryInput = match start(events, one) {
        Ok(input) => input,
        Err(flaw) => return Some(flaw),
    };
    let about = (input.event_id, input.aggregate_id, input.event_type.as_str());
    if about != (one.event, one.aggregate, one.event_type.name) {
        return Some(OTHER_IDS.to_owned());
    }
    delivery::flaw(events, one, &input.delivery, input.carried.as_ref())
}

fn flaw_of_registration(events: &[HistoryEvent], one: Finished) -> Option<String> {
    let input: RegistrationInput = match start(events, one) {
        Ok(input) => input,
        Err(flaw) => return Some(flaw),
    };
    if input.event_id != one.event || input.user_id != one.user() {
        return Some(OTHER_IDS.to_owned());
    }
    if let Some(delivery) = &input.delivery {
        return delivery::flaw(events, one, delivery, input.carried.as_ref());
    }
    let published = input.carried.is_none();
    let steps = [ACTIVITY_PUBLISH, ACTIVITY_MARK_SENT, ACTIVITY_RECORD];
    let demanded = steps.into_iter().filter(|step| published || *step == ACTIVITY_RECORD);
    let mut after = 0;
    for step in demanded {
        let about = |input: Option<&Payloads>| is_about(input, one);
        match completed(events, step, about).into_iter().find(|(at, _)| *at > after) {
            Some((at, _)) => after = at,
            None => return Some(format!("{step} did not complete in its turn")),
        }
    }
    let todo = TodoId::welcome(one.user());
    let is_it = |found: Acknowledgement| found.event_id == one.event && found.todo_id == todo;
    if !acknowledgements(events).any(|(_, found)| is_it(found)) {
        return Some("nothing in it acknowledges the welcome todo".to_owned());
    }
    match result::<RegistrationProgress>(events) {
        Some(progress) if progress.todo_id == Some(todo) => None,
        Some(_) => Some("its result names another todo".to_owned()),
        None => Some("it does not end completed".to_owned()),
    }
}

/// The input of a history that begins as the event's workflow.
fn start<T: DeserializeOwned>(events: &[HistoryEvent], one: Finished) -> Result<T, String> {
    let workflow = one.event_type.workflow_type();
    let input = match events.first().and_then(|first| first.attributes.as_ref()) {
        Some(Attributes::WorkflowExecutionStartedEventAttributes(start))
            if start.workflow_type.as_ref().is_some_and(|kind| kind.name == workflow) =>
        {
            json(start.input.as_ref())
        }
        _ => None,
    };
    input.ok_or_else(|| format!("it does not begin as a {workflow} with a readable input"))
}

/// The event ids at which an activity with such an input completed, with its
/// result: as a task of its own or, of the quick ones, inside a workflow task.
fn completed<'a>(
    events: &'a [HistoryEvent],
    activity: &str,
    about: impl Fn(Option<&Payloads>) -> bool,
) -> Vec<(i64, Option<&'a Payloads>)> {
    let scheduled: Vec<i64> = events
        .iter()
        .filter(|event| match &event.attributes {
            Some(Attributes::ActivityTaskScheduledEventAttributes(scheduled)) => {
                scheduled.activity_type.as_ref().is_some_and(|kind| kind.name == activity)
                    && about(scheduled.input.as_ref())
            }
            _ => false,
        })
        .map(|event| event.event_id)
        .collect();
    let done = events.iter().filter_map(|event| match &event.attributes {
        Some(Attributes::ActivityTaskCompletedEventAttributes(done)) => scheduled
            .contains(&done.scheduled_event_id)
            .then_some((event.event_id, done.result.as_ref())),
        Some(Attributes::MarkerRecordedEventAttributes(marker)) => {
            let result = local::result(marker, activity, &about)?;
            is_quick(activity, result).then_some((event.event_id, Some(result)))
        }
        _ => None,
    });
    done.collect()
}

/// Whether a marker with such a result proves the step. A publish that says
/// nothing of what the broker answered needs its own task.
fn is_quick(activity: &str, result: &Payloads) -> bool {
    match activity {
        ACTIVITY_MARK_SENT | ACTIVITY_RECORD => local::is_nothing(result),
        ACTIVITY_PUBLISH => !local::is_nothing(result),
        ACTIVITY_PUBLISH_EVENT => true,
        _ => false,
    }
}

fn is_about(input: Option<&Payloads>, one: Finished) -> bool {
    json::<EventRef>(input).is_some_and(|input| input.event_id == one.event)
}

/// By the todo service's signal, or found in the inbox.
fn acknowledgements(events: &[HistoryEvent]) -> impl Iterator<Item = (i64, Acknowledgement)> {
    events.iter().filter_map(|event| {
        let found = match event.attributes.as_ref()? {
            Attributes::WorkflowExecutionSignaledEventAttributes(signal)
                if signal.signal_name == SIGNAL_ACKNOWLEDGED =>
            {
                json(signal.input.as_ref())
            }
            Attributes::ActivityTaskCompletedEventAttributes(done)
                if is_check(events, done.scheduled_event_id) =>
            {
                json::<Option<Acknowledgement>>(done.result.as_ref())?
            }
            _ => None,
        };
        found.map(|found| (event.event_id, found))
    })
}

fn is_check(events: &[HistoryEvent], scheduled: i64) -> bool {
    events.iter().filter(|event| event.event_id == scheduled).any(|event| match &event.attributes {
        Some(Attributes::ActivityTaskScheduledEventAttributes(activity)) => {
            activity.activity_type.as_ref().is_some_and(|kind| kind.name == ACTIVITY_CHECK)
        }
        _ => false,
    })
}

fn result<T: DeserializeOwned>(events: &[HistoryEvent]) -> Option<T> {
    match events.last()?.attributes.as_ref()? {
        Attributes::WorkflowExecutionCompletedEventAttributes(done) => json(done.result.as_ref()),
        _ => None,
    }
}

fn json<T: DeserializeOwned>(payloads: Option<&Payloads>) -> Option<T> {
    serde_json::from_slice(&payloads?.payloads.first()?.data).ok()
}

#[cfg(test)]
#[path = "history/tests.rs"]
mod tests;
