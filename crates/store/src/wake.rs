//! The relay's wake-up call: a change stream over the outbox.
//!
//! The stream is for speed only; the sweep over due rows is what makes the
//! relay complete. So the stream never resumes: when it breaks, whatever the
//! reason (error 286 `ChangeStreamHistoryLost` included), it is opened anew
//! "from now" and the relay is woken once for what may have been missed.

use std::time::Duration;

use futures::StreamExt;
use mongodb::bson::{Document, doc};
use onboard_runtime::availability::chain;
use onboard_runtime::{Availability, Backoff, Shutdown};

use crate::Mongo;

/// Calls `wake` for every row inserted into the outbox, until the shutdown.
pub async fn watch_outbox(mongo: Mongo, wake: impl Fn(), shutdown: Shutdown) {
    let stream = Availability::new("outbox change stream");
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
    while !shutdown.has_begun() {
        let broken = shutdown.or(follow(&mongo, &wake, &stream, &mut backoff)).await;
        let Some(error) = broken else { return };
        stream.down(&chain(&error));
        shutdown.sleep(backoff.failed()).await;
    }
}

/// Follows the stream until it breaks; the error says why.
async fn follow(
    mongo: &Mongo,
    wake: &impl Fn(),
    health: &Availability,
    backoff: &mut Backoff,
) -> mongodb::error::Error {
    let inserts =
        [doc! { "$match": { "operationType": "insert" } }, doc! { "$project": { "_id": 1 } }];
    let opened = mongo.outbox().watch().pipeline(inserts).await;
    let mut stream = match opened {
        Ok(stream) => stream.with_type::<Document>(),
        Err(error) => return error,
    };
    health.up();
    backoff.succeeded();
    wake();
    loop {
        match stream.next().await {
            Some(Ok(_)) => wake(),
            Some(Err(error)) => return error,
            None => return mongodb::error::Error::custom("the stream ended"),
        }
    }
}
