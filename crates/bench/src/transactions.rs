//! The limit that MongoDB sets: transactions that insert two documents,
//! committed by a majority, by the plain driver into collections without
//! indexes or validators.

use std::time::Instant;

use anyhow::Context as _;
use futures::{TryStreamExt as _, stream};
use mongodb::bson::{Document, doc};
use mongodb::options::{ReadConcern, WriteConcern};
use mongodb::{Client, Collection};
use onboard_chaos::Live;
use onboard_ops::Databases;
use onboard_runtime::clock;

use crate::progress::Progress;
use crate::samples::rate;

const DATABASE: &str = "bench-transactions";
/// At the same time.
const IN_FLIGHT: usize = 32;

/// Transactions a second.
///
/// # Errors
/// MongoDB refuses one.
pub(crate) async fn transactions(
    mongo: &Databases,
    count: u64,
    live: &Live,
) -> anyhow::Result<f64> {
    let client = mongo.auth().client();
    let database = client.database(DATABASE);
    for name in ["one", "two"] {
        database.create_collection(name).await.context("a scratch collection")?;
    }
    let into = [database.collection("one"), database.collection("two")];
    let progress = Progress::new("plain transactions of two documents", count);
    let begun = Instant::now();
    let work = stream::iter((0..count).map(Ok)).try_for_each_concurrent(IN_FLIGHT, async |_| {
        progress.one();
        commit(client, &into).await
    });
    let done = live.during(work, || progress.line()).await;
    let took = begun.elapsed();
    database.drop().await.context("the scratch database is left behind")?;
    done.context("a plain transaction failed")?;
    Ok(rate(count, took))
}

async fn commit(client: &Client, into: &[Collection<Document>; 2]) -> mongodb::error::Result<()> {
    let into = into.clone();
    let one = doc! { "_id": clock::ordered_id().to_string(), "at": clock::now_ms() };
    let mut session = client.start_session().await?;
    session
        .start_transaction()
        .read_concern(ReadConcern::snapshot())
        .write_concern(WriteConcern::majority())
        .and_run2(async move |session| {
            for collection in &into {
                collection.insert_one(&one).session(&mut *session).await?;
            }
            Ok(())
        })
        .await
}
