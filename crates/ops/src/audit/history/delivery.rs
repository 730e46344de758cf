//! What the history of a delivery to several consumers must hold: the event was
//! published, and each consumer of the input has acknowledged before that was
//! recorded, or an operator has waived it.
//!
//! What may be missing: a run that follows another one (`carried`), or delivers
//! straight to the queues (`direct`), has the publish of an earlier run, and a
//! consumer may acknowledge before it gets a copy. Then nothing may be left for
//! `mark_outbox_sent` to mark.

use onboard_contract::names::{
    ACTIVITY_FIND_ACKNOWLEDGEMENT, ACTIVITY_MARK_SENT, ACTIVITY_PUBLISH_EVENT, ACTIVITY_RECORD,
    SIGNAL_CONSUMER_ACKNOWLEDGED, SIGNAL_WAIVED,
};
use onboard_contract::workflow::{Carried, Published, RecordRef, Waiver};
use onboard_contract::{Acknowledged, ConsumerName, Delivery, Progress, Question, Stage};
use onboard_events::TodoId;
use onboard_events::registration::ACTIVITY_PUBLISH;
use serde::de::DeserializeOwned;
use temporalio_common::protos::temporal::api::common::v1::Payloads;
use temporalio_common::protos::temporal::api::history::v1::HistoryEvent;
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;

use super::{acknowledgements, completed, is_about, json, result};
use crate::audit::sample::Finished;

/// What the history lacks, if anything.
pub(super) fn flaw(
    events: &[HistoryEvent],
    one: Finished,
    delivery: &Delivery,
    carried: Option<&Carried>,
) -> Option<String> {
    let mut after = 0;
    if carried.is_none() && !delivery.direct {
        match published(events, one) {
            Ok(at) => after = at,
            Err(flaw) => return Some(flaw),
        }
    }
    let consumers: Vec<&ConsumerName> = match carried {
        Some(carried) => carried.awaited.iter().map(|awaited| &awaited.consumer).collect(),
        None => delivery.consumers.iter().collect(),
    };
    if let Some(flaw) = consumers.iter().find_map(|to| unsettled(events, one, to, after)) {
        return Some(flaw);
    }
    match result::<Progress>(events) {
        Some(end) if end.stage == Stage::Acknowledged && end.awaited.is_empty() => None,
        Some(_) => Some("its result says that a consumer is awaited".to_owned()),
        None => Some("it does not end completed".to_owned()),
    }
}

/// Where the exchange was asked to take the event and, when it took it, the row
/// was marked SENT.
fn published(events: &[HistoryEvent], one: Finished) -> Result<i64, String> {
    let lacks = |step: &str| format!("{step} did not complete in its turn");
    let about = |input: Option<&Payloads>| is_about(input, one);
    let mut publishes = [ACTIVITY_PUBLISH, ACTIVITY_PUBLISH_EVENT]
        .into_iter()
        .flat_map(|publish| completed(events, publish, about));
    let Some((at, answer)) = publishes.next() else { return Err(lacks(ACTIVITY_PUBLISH)) };
    match json::<Published>(answer) {
        None => Err(format!("{ACTIVITY_PUBLISH} does not say what the broker did")),
        // Each consumer got a copy of its own, or acknowledged without one.
        Some(Published::Refused | Published::Waiting) => Ok(at),
        Some(Published::Confirmed) => {
            let marked = completed(events, ACTIVITY_MARK_SENT, about);
            let marked = marked.into_iter().map(|(marked, _)| marked).find(|marked| *marked > at);
            marked.ok_or_else(|| lacks(ACTIVITY_MARK_SENT))
        }
    }
}

/// What the history lacks about one consumer: its acknowledgement, and after that
/// and the publish the record of it; or its waiver.
fn unsettled(
    events: &[HistoryEvent],
    one: Finished,
    consumer: &ConsumerName,
    after: i64,
) -> Option<String> {
    let waived = |waiver: Waiver| waiver.consumer == *consumer;
    if signals::<Waiver>(events, SIGNAL_WAIVED).any(|(_, waiver)| waived(waiver)) {
        return None;
    }
    let Some((acknowledged, reference)) = acknowledgement(events, one, consumer) else {
        return Some(format!("nothing in it acknowledges for {consumer}"));
    };
    let about = |input: Option<&Payloads>| {
        json::<RecordRef>(input).is_some_and(|record| {
            record.event_id == one.event
                && record.consumer.as_ref() == Some(consumer)
                && record.reference == reference
        })
    };
    let recorded = completed(events, ACTIVITY_RECORD, about);
    let in_turn = recorded.into_iter().any(|(at, _)| at > acknowledged.max(after));
    (!in_turn).then(|| format!("{ACTIVITY_RECORD} for {consumer} did not complete in its turn"))
}

/// The first acknowledgement of the consumer that counts, and what it made: that
/// of the todo service names the one welcome todo that the user can have.
fn acknowledgement(
    events: &[HistoryEvent],
    one: Finished,
    consumer: &ConsumerName,
) -> Option<(i64, Option<String>)> {
    let welcome = TodoId::welcome(one.user());
    let is_todo =
        onboard_events::is_registration(one.event_type) && *consumer == onboard_events::TODO;
    let told = signals::<Acknowledged>(events, SIGNAL_CONSUMER_ACKNOWLEDGED)
        .filter(|(_, found)| found.event_id == one.event && found.consumer == *consumer)
        .map(|(at, found)| (at, found.reference));
    let of_todo = acknowledgements(events)
        .filter(|(_, found)| is_todo && found.event_id == one.event)
        .map(|(at, found)| (at, Some(found.todo_id.to_string())));
    let counts =
        |reference: &Option<String>| !is_todo || reference.as_ref() == Some(&welcome.to_string());
    let about = |input: Option<&Payloads>| {
        json::<Question>(input).is_some_and(|question| question.event_id == one.event)
    };
    let answered = completed(events, ACTIVITY_FIND_ACKNOWLEDGEMENT, about).into_iter();
    let answered = answered.filter_map(|(at, answer)| {
        let found = json::<Option<Acknowledged>>(answer)??;
        (found.event_id == one.event && found.consumer == *consumer)
            .then_some((at, found.reference))
    });
    told.chain(of_todo)
        .chain(answered)
        .filter(|(_, reference)| counts(reference))
        .min_by_key(|(at, _)| *at)
}

/// The signals of this name that can be read, with the ids of their events.
fn signals<'a, T: DeserializeOwned>(
    events: &'a [HistoryEvent],
    name: &'a str,
) -> impl Iterator<Item = (i64, T)> {
    events.iter().filter_map(move |event| match event.attributes.as_ref()? {
        Attributes::WorkflowExecutionSignaledEventAttributes(signal)
            if signal.signal_name == name =>
        {
            Some((event.event_id, json(signal.input.as_ref())?))
        }
        _ => None,
    })
}

#[cfg(test)]
#[path = "delivery/tests.rs"]
mod tests;
