//! What a row says about each of its consumers. Pure, so nothing is lost when a
//! process dies.

use std::time::Duration;

use onboard_contract::ConsumerName;
use serde::Serialize;

use crate::times;

/// A consumer that a row expects, or that an operator has waived on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerState {
    /// The consumer.
    pub consumer: ConsumerName,
    /// Whether the row awaits its acknowledgement.
    pub awaited: bool,
    /// How long after a publish its acknowledgement is overdue, in ms, where the event's
    /// file says so; else as `REGISTRATION_OVERDUE` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience_ms: Option<u64>,
    /// When its acknowledgement was recorded.
    #[serde(serialize_with = "times::maybe")]
    pub acknowledged_at: Option<i64>,
    /// What it made.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// When an operator has waived it.
    #[serde(serialize_with = "times::maybe")]
    pub waived_at: Option<i64>,
    /// Why.
    pub reason: Option<String>,
}

impl ConsumerState {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        let name = &self.consumer;
        if let Some(at) = self.acknowledged_at {
            let at = times::rfc3339(at);
            let made = self.reference.as_ref().map(|made| format!(", ref {made}"));
            return format!("{name}: acknowledged at {at}{}", made.unwrap_or_default());
        }
        match (self.waived_at, self.awaited) {
            (Some(at), _) => {
                let (at, why) = (times::rfc3339(at), self.reason.as_deref());
                format!("{name}: waived at {at} ({})", why.unwrap_or("no reason noted"))
            }
            (None, true) => {
                let own = self.patience_ms.map(Duration::from_millis);
                let own = own.map(|own| format!(", overdue {own:?} after each publish"));
                format!("{name}: awaited{}", own.unwrap_or_default())
            }
            (None, false) => format!("{name}: no acknowledgement"),
        }
    }

    /// Whether the consumer has acknowledged, or nobody asks for it.
    pub(crate) const fn is_settled(&self) -> bool {
        self.acknowledged_at.is_some() || self.waived_at.is_some()
    }
}

/// The expected consumers in the order of the row, then the waived ones. A row of
/// a released build has the todo service's acknowledgement as its only one.
pub(crate) fn consumers(row: &onboard_outbox::Row) -> Vec<ConsumerState> {
    let mut names = row.expects().unwrap_or_default();
    let waived = row.waived.as_ref().known();
    let acknowledgements = row.acknowledgements.as_ref().known();
    for name in waived.into_iter().flat_map(|all| all.keys()).filter_map(|key| key.parse().ok()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let awaited = row.awaited().unwrap_or_default();
    let released = row.acknowledged_at.known().filter(|_| row.expects.as_ref().known().is_none());
    let patience = |consumer: &ConsumerName| {
        let mut known = row.known_type()?.consumers.iter().filter(|one| one.name == *consumer);
        u64::try_from(known.next()?.patience?.as_millis()).ok()
    };
    let state = |consumer: ConsumerName| {
        let name = consumer.as_str();
        let acknowledged = acknowledgements.and_then(|all| all.get(name));
        let given_up = waived.and_then(|all| all.get(name));
        let of_todo = released.filter(|_| consumer == onboard_events::TODO);
        ConsumerState {
            awaited: awaited.contains(&consumer),
            patience_ms: patience(&consumer),
            acknowledged_at: acknowledged.and_then(|one| one.at.known()).or(of_todo),
            reference: acknowledged.and_then(|one| one.reference.as_ref().known().cloned()),
            waived_at: given_up.and_then(|one| one.at.known()),
            reason: given_up.and_then(|one| one.reason.as_ref().known().cloned()),
            consumer,
        }
    };
    names.into_iter().map(state).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::{DateTime, Document, doc};

    fn words(row: &Document) -> Vec<String> {
        consumers(&onboard_outbox::Row::read(row)).iter().map(ConsumerState::words).collect()
    }

    #[test]
    fn each_consumer_is_told_with_what_it_did() {
        let at = DateTime::from_millis(0);
        let row = doc! {
            "status": "SENT", "sentAt": at, "expects": ["todo", "crm"],
            "acknowledgements": { "todo": { "at": at, "ref": "a" } },
            "waived": { "search": { "at": at, "reason": "the index is gone" } },
        };
        assert_eq!(
            words(&row),
            [
                "todo: acknowledged at 1970-01-01T00:00:00Z, ref a",
                "crm: awaited",
                "search: waived at 1970-01-01T00:00:00Z (the index is gone)",
            ]
        );
    }

    #[test]
    fn a_row_of_a_released_build_has_one_acknowledgement() {
        let row = doc! { "acknowledgedAt": DateTime::from_millis(0) };
        assert_eq!(words(&row), ["todo: acknowledged at 1970-01-01T00:00:00Z"]);
        assert_eq!(words(&doc! {}), ["todo: awaited"]);
        let lost = doc! { "expects": ["crm"], "acknowledgedAt": DateTime::from_millis(0) };
        assert_eq!(words(&lost), ["crm: no acknowledgement"]);
    }
}
