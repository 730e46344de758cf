//! The payload of a row as JSON: what an event's consumers read.
//!
//! UUIDs become texts and dates RFC 3339 times. A pure function: a process that
//! dies here has changed nothing.

use mongodb::bson::{Bson, Document};
use onboard_mongo::field::as_uuid;
use serde_json::{Map, Number, Value};

/// The payload as JSON; `None` when it holds a value that JSON does not know.
pub(crate) fn json(payload: &Document) -> Option<Value> {
    let members = payload.iter().map(|(name, value)| Some((name.clone(), one(value)?)));
    members.collect::<Option<Map<String, Value>>>().map(Value::Object)
}

fn one(value: &Bson) -> Option<Value> {
    match value {
        Bson::Null => Some(Value::Null),
        Bson::Boolean(truth) => Some(Value::Bool(*truth)),
        Bson::String(text) => Some(Value::String(text.clone())),
        Bson::Int32(number) => Some(Value::from(*number)),
        Bson::Int64(number) => Some(Value::from(*number)),
        Bson::Double(number) => Number::from_f64(*number).map(Value::Number),
        Bson::DateTime(at) => at.try_to_rfc3339_string().ok().map(Value::String),
        Bson::Document(document) => json(document),
        Bson::Array(all) => all.iter().map(one).collect::<Option<Vec<_>>>().map(Value::Array),
        other => as_uuid(other).map(|id| Value::String(id.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{DateTime, Timestamp, doc};
    use onboard_mongo::bson_time::id;
    use serde_json::json as expected;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn ids_and_times_become_texts() {
        let payload = doc! {
            "id": id(Uuid::from_u128(1)), "at": DateTime::from_millis(0), "n": 7, "big": 1_i64 << 40,
            "half": 0.5, "yes": true, "none": null, "in": { "list": ["a", 1] },
        };
        let wanted = expected!({
            "id": Uuid::from_u128(1), "at": "1970-01-01T00:00:00Z", "n": 7, "big": 1_i64 << 40,
            "half": 0.5, "yes": true, "none": null, "in": { "list": ["a", 1] },
        });
        assert_eq!(json(&payload), Some(wanted));
    }

    #[test]
    fn what_json_does_not_know_is_refused() {
        for value in [
            Bson::Double(f64::NAN),
            Bson::Timestamp(Timestamp { time: 1, increment: 1 }),
            Bson::MinKey,
            Bson::Array(vec![Bson::MaxKey]),
        ] {
            assert_eq!(json(&doc! { "a": value.clone() }), None, "{value}");
        }
    }
}
