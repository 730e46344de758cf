//! Which rows an operator's change is for, and what it makes of them, as filters
//! and updates of MongoDB. Pure, so nothing is lost when a process dies.

use mongodb::bson::{Bson, Document, doc};
use onboard_contract::ConsumerName;

use crate::sent::ended;
use crate::{PENDING, SENT};

/// The unfinished rows that await the consumer, in terms of the index over
/// unfinished rows.
pub(super) fn awaiting(consumer: &ConsumerName) -> Document {
    let name = consumer.as_str();
    let mut filter = doc! {
        "acknowledgedAt": null,
        format!("acknowledgements.{name}"): { "$exists": false },
        format!("waived.{name}"): { "$exists": false },
    };
    if *consumer == onboard_events::RELEASED_CONSUMER {
        filter.insert(
            "$or",
            vec![
                doc! { "expects": null, "eventType": onboard_events::RELEASED.name },
                doc! { "expects": name },
            ],
        );
    } else {
        filter.insert("expects", name);
    }
    filter
}

/// The rows of registrations that do not expect the consumer and do not have its acknowledgement.
/// A row with a field of a wrong type is left out: the audit names it.
pub(super) fn not_expecting(consumer: &ConsumerName) -> Document {
    let name = consumer.as_str();
    let is = |field: &str, kind: &str| {
        doc! { "$or": [{ field: null }, { field: { "$type": kind } }] }
    };
    let waived = format!("waived.{name}");
    doc! {
        "eventType": onboard_events::RELEASED.name,
        "status": { "$in": [PENDING, SENT] },
        format!("acknowledgements.{name}"): { "$exists": false },
        "$and": [
            doc! { "$or": [{ "expects": { "$ne": name } }, { waived: { "$exists": true } }] },
            is("expects", "array"),
            is("acknowledgements", "object"),
            is("waived", "object"),
            is("acknowledgedAt", "date"),
        ],
    }
}

/// Adds the consumer to what a row expects. All fields are computed from the row
/// as it was.
pub(super) fn expected_too(consumer: &ConsumerName) -> Vec<Document> {
    let (name, released) = (consumer.as_str(), onboard_events::RELEASED_CONSUMER);
    let one = released.as_str();
    let expects = doc! { "$ifNull": ["$expects", [one]] };
    let added = doc! { "$cond": [{ "$in": [name, expects.clone()] }, [], [name]] };
    let released = doc! { "$and": [
        { "$eq": [{ "$type": "$acknowledgedAt" }, "date"] },
        { "$eq": [{ "$type": format!("$acknowledgements.{one}") }, "missing"] },
        { "$in": [one, expects.clone()] },
    ] };
    let kept =
        doc! { "$mergeObjects": [{ one: { "at": "$acknowledgedAt" } }, "$acknowledgements"] };
    vec![
        doc! { "$set": {
            "acknowledgements": { "$cond": [released, kept, "$acknowledgements"] },
            "expects": { "$concatArrays": [expects, added] },
            "acknowledgedAt": Bson::Null,
        } },
        doc! { "$unset": format!("waived.{name}") },
    ]
}

/// Notes the waiver, takes the consumer off what a row expects, and ends the row
/// when it awaits nobody else. A row that expects nobody else keeps the name,
/// since it expects somebody: the waiver says that nobody is awaited.
pub(super) fn waived(consumer: &ConsumerName, reason: &str) -> Vec<Document> {
    let name = consumer.as_str();
    let expects = doc! { "$ifNull": ["$expects", [onboard_events::RELEASED_CONSUMER.as_str()]] };
    let others = doc! { "$filter": {
        "input": expects.clone(), "cond": { "$ne": ["$$this", name] },
    } };
    let alone = doc! { "$eq": [others.clone(), []] };
    let waiver = doc! { name: { "at": "$$NOW", "reason": { "$literal": reason } } };
    vec![
        doc! { "$set": {
            "expects": { "$cond": [alone, expects, others] },
            // Of two values for one key the last one counts: the first stands.
            "waived": { "$mergeObjects": [waiver, "$waived"] },
        } },
        doc! { "$set": ended() },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_a_released_build_awaits_the_todo_service_without_saying_so() {
        let todo = awaiting(&onboard_events::TODO);
        assert!(!todo.contains_key("expects") && todo.contains_key("$or"), "{todo}");
        let crm = awaiting(&"crm".parse().unwrap());
        assert_eq!(crm.get_str("expects").unwrap(), "crm");
        assert!(crm.contains_key("acknowledgements.crm") && crm.contains_key("waived.crm"));
    }

    #[test]
    fn an_operators_words_are_not_taken_for_an_expression() {
        let update = waived(&"crm".parse().unwrap(), "$expects");
        let text = format!("{update:?}");
        assert!(text.contains(r#""$literal": String("$expects")"#), "{text}");
    }
}
