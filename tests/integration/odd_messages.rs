//! Messages that other programs may publish and that no part of this system would:
//! odd headers, large bodies, odd JSON, letters that cannot go back as they are, inbox
//! records that cannot be read. Nobody else waits for them.

mod bodies;
mod headers;
mod json;
mod letters;
mod records;
mod rights;
mod unconfirmed;

use onboard_contract::{EventId, UserId};
use serde_json::{Value, json};
use uuid::Uuid;

/// The body of an event, and whom it is about.
fn event() -> (EventId, UserId, Value) {
    let (event, user) = (Uuid::now_v7(), Uuid::new_v4());
    let payload = json!({ "userId": user, "email": "by.hand@example.com" });
    let body = json!({ "eventId": event, "eventType": "USER_REGISTERED", "schemaVersion": 1,
        "payload": payload });
    (event.into(), user.into(), body)
}
