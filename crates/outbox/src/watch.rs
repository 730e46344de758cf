//! The relay's wake-up call: a change stream over the outbox, which hands over
//! the inserted rows themselves.
//!
//! The stream is for speed only; the sweep over due rows is what makes the
//! relay complete. So the stream never resumes: when it breaks, whatever the
//! reason (error 286 `ChangeStreamHistoryLost` included), it is opened anew
//! "from now" and the relay is told to look for what may have been missed. So
//! it is when a row is not what it should be. The stream tells of rows only
//! when the majority has them.

use std::time::Duration;

use futures::StreamExt;
use mongodb::bson::{Document, RawDocumentBuf, doc};
use onboard_mongo::{code, raw_document as raw};
use onboard_runtime::availability::chain;
use onboard_runtime::{Availability, Backoff, Shutdown};

use crate::due::needed;
use crate::{Due, Outbox, PENDING, Row};

/// `ChangeStreamHistoryLost`: what came next has fallen off the oplog.
const HISTORY_LOST: i32 = 286;

/// What the stream says.
#[derive(Debug)]
pub enum Inserted {
    /// This row was inserted, and is due whatever its producer's clock says. Another
    /// relay is told the same.
    Row(Due),
    /// Something may be there: look.
    Something,
    /// The open stream broke, because the oplog no longer reached back or for another
    /// reason. It is opened anew.
    Lost {
        /// Whether the oplog no longer reached back.
        history: bool,
    },
}

/// Tells `hand_over` of every row inserted into the outbox, until the shutdown.
pub async fn watch_outbox(outbox: Outbox, hand_over: impl Fn(Inserted), shutdown: Shutdown) {
    let stream = Availability::new("outbox change stream");
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
    while !shutdown.has_begun() {
        let broken = shutdown.or(follow(&outbox, &hand_over, &stream, &mut backoff)).await;
        let Some(error) = broken else { return };
        stream.down(&chain(&error));
        shutdown.sleep(backoff.failed()).await;
    }
}

/// Follows the stream until it breaks; the error says why.
async fn follow(
    outbox: &Outbox,
    hand_over: &impl Fn(Inserted),
    health: &Availability,
    backoff: &mut Backoff,
) -> mongodb::error::Error {
    let opened = outbox.rows().watch().pipeline(inserts()).await;
    let mut stream = match opened {
        Ok(stream) => stream.with_type::<RawDocumentBuf>(),
        Err(error) => return error,
    };
    health.up();
    backoff.succeeded();
    hand_over(Inserted::Something);
    loop {
        match stream.next().await {
            Some(Ok(event)) => hand_over(inserted(&raw::readable(&event))),
            Some(Err(error)) => {
                hand_over(Inserted::Lost { history: code(&error) == Some(HISTORY_LOST) });
                return error;
            }
            None => {
                hand_over(Inserted::Lost { history: false });
                return mongodb::error::Error::custom("the stream ended");
            }
        }
    }
}

/// Inserts of PENDING rows alone, and of them what the relay needs.
fn inserts() -> [Document; 2] {
    let of_row = needed().into_iter().map(|(field, one)| (format!("fullDocument.{field}"), one));
    let mut project = doc! { "_id": 1, "fullDocument._id": 1 };
    project.extend(of_row);
    let pending = doc! { "operationType": "insert", "fullDocument.status": PENDING };
    [doc! { "$match": pending }, doc! { "$project": project }]
}

/// What an event says. A row that cannot be read is left to the sweep.
fn inserted(event: &Document) -> Inserted {
    let row = event.get_document("fullDocument").map(Row::read);
    match row.map(|row| Due::of(&row)) {
        Ok(Ok(due)) => Inserted::Row(due),
        Ok(Err(_)) | Err(_) => Inserted::Something,
    }
}

#[cfg(test)]
mod tests {
    use onboard_mongo::bson_time::{date, id};
    use onboard_runtime::clock;

    use super::*;

    fn event(due_ms: i64) -> Document {
        let (event_id, user_id) = (id(clock::ordered_id()), id(clock::random_id()));
        doc! { "_id": {}, "fullDocument": {
            "_id": event_id, "aggregateId": user_id, "eventType": "USER_REGISTERED", "schemaVersion": 1,
            "attempts": 0, "nextAttemptAt": date(due_ms),
        } }
    }

    #[test]
    fn a_new_row_is_handed_over_whatever_its_producers_clock_says() {
        for due_ms in [0, 1_700_000_000_000, i64::MAX] {
            let said = inserted(&event(due_ms));
            assert!(matches!(said, Inserted::Row(_)), "{due_ms}: {said:?}");
        }
    }

    #[test]
    fn a_row_that_cannot_be_read_makes_the_relay_look() {
        let mut unreadable = event(0);
        unreadable.get_document_mut("fullDocument").unwrap().remove("aggregateId");
        for event in [unreadable, doc! { "_id": {} }] {
            let said = inserted(&event);
            assert!(matches!(said, Inserted::Something), "{said:?}");
        }
    }
}
