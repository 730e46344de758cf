//! Facts about MongoDB, for the doctor that judges them. Nothing here writes; a fact that
//! the user may not ask for is `None`.

use std::time::Duration;

use mongodb::bson::{Bson, Document, Timestamp, doc};
use onboard_runtime::clock;

use crate::mongo::{OPERATION_DEADLINE, Read, bounded};
use crate::{Mongo, StoreError};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its version.
    pub version: String,
    /// How many members vote; `None` when that may not be asked.
    pub voters: Option<usize>,
    /// What a write waits for that does not say it itself.
    pub write_concern: Option<String>,
    /// How far the oplog reaches back; `None` when that may not be asked.
    pub oplog: Option<Duration>,
    /// How far its clock is ahead of this machine's, in ms.
    pub clock_ahead_ms: i64,
}

/// Asks.
///
/// # Errors
/// There is no primary that answers.
pub async fn inspect(mongo: &Mongo) -> Result<Facts, StoreError> {
    let version = ask(mongo, "tell its version", doc! { "buildInfo": 1 }).await?;
    let asked_at_ms = clock::now_ms();
    let hello = ask(mongo, "say what it is", doc! { "hello": 1 }).await?;
    let answered_at_ms = clock::now_ms();
    let middle_ms = asked_at_ms.midpoint(answered_at_ms);
    let its_ms = hello.get_datetime("localTime").map_or(middle_ms, |at| at.timestamp_millis());
    Ok(Facts {
        version: version.get_str("version").unwrap_or("unknown").to_owned(),
        voters: voters(mongo).await,
        write_concern: write_concern(mongo).await,
        oplog: oplog(mongo).await,
        clock_ahead_ms: its_ms.saturating_sub(middle_ms),
    })
}

async fn ask(mongo: &Mongo, what: &'static str, command: Document) -> Result<Document, StoreError> {
    let admin = mongo.client().database("admin");
    bounded(what, async { admin.run_command(command).await }).await
}

async fn voters(mongo: &Mongo) -> Option<usize> {
    let asked = ask(mongo, "tell its members", doc! { "replSetGetConfig": 1 }).await.ok()?;
    let members = asked.get_document("config").ok()?.get_array("members").ok()?;
    let votes = |member: &Document| member.get_i32("votes").unwrap_or(1) > 0;
    Some(members.iter().filter_map(Bson::as_document).filter(|one| votes(one)).count())
}

async fn write_concern(mongo: &Mongo) -> Option<String> {
    let asked = ask(mongo, "tell its defaults", doc! { "getDefaultRWConcern": 1 }).await.ok()?;
    let w = asked.get_document("defaultWriteConcern").ok()?.get("w")?;
    Some(w.as_str().map_or_else(|| w.to_string(), ToOwned::to_owned))
}

async fn oplog(mongo: &Mongo) -> Option<Duration> {
    let (first, last) = (end(mongo, 1).await?, end(mongo, -1).await?);
    Some(Duration::from_secs(u64::from(last.time.saturating_sub(first.time))))
}

/// One end of the oplog.
async fn end(mongo: &Mongo, order: i32) -> Option<Timestamp> {
    let oplog = mongo.client().database("local").collection::<Document>("oplog.rs");
    let find =
        oplog.find_one(doc! {}).sort(doc! { "$natural": order }).projection(doc! { "ts": 1 });
    let entry = bounded("read its oplog", find.read(OPERATION_DEADLINE)).await.ok()??;
    entry.get_timestamp("ts").ok()
}
