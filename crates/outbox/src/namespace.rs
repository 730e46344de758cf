//! Which namespace of Temporal the registrations' workflows are in, by its id,
//! which no other namespace ever has.
//!
//! When it is another than before, Temporal's database was lost or replaced:
//! the workflows of registrations that were acknowledged by then are gone, and
//! an audit must not miss them. The first note says nothing about earlier ones.

use mongodb::bson::doc;
use mongodb::bson::{DateTime, Document};
use onboard_mongo::Mongo;
use onboard_mongo::retention::HORIZONS;
use onboard_mongo::setup::{SetupError, step};
use onboard_runtime::clock;

use crate::WORKFLOWS;

/// Notes the namespace's id in the database of an outbox. Repeating it changes nothing.
///
/// # Errors
/// See [`SetupError`].
pub async fn note_namespace(mongo: &Mongo, id: &str) -> Result<(), SetupError> {
    let notes = mongo.documents(HORIZONS);
    let note = notes.update_one(doc! { "_id": WORKFLOWS }, vec![noted(id)]).upsert(true);
    step("note the namespace", note).await.map(drop)
}

fn noted(id: &str) -> Document {
    let now = DateTime::from_millis(clock::now_ms());
    let known = doc! { "$ifNull": ["$namespaceId", id] };
    let before = doc! { "$cond": [{ "$eq": [known, id] }, "$removedBefore", now] };
    doc! { "$set": { "namespaceId": id, "removedBefore": before } }
}
