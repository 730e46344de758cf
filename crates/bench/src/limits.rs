//! What this machine can do at most, measured with nothing else going on.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::StreamExt as _;
use mongodb::bson::{Binary, Document, doc, spec::BinarySubtype};
use mongodb::options::{ReadConcern, WriteConcern};
use mongodb::{Client, Collection};
use onboard_auth::hash::calibrate;
use onboard_runtime::clock;
use onboard_store::Mongo;

use crate::samples::rate;

/// What production hashes with (KiB, passes), and on this many threads.
const PRODUCTION: (u32, u32) = (19_456, 2);
/// How many transactions are under way at once.
const CLIENTS: usize = 32;

/// Passwords hashed a second on as many threads as there are CPUs.
pub(crate) async fn hashes_per_s(time: Duration) -> anyhow::Result<f64> {
    let threads = calibrate::threads_default();
    let measure = move || calibrate::measure(PRODUCTION, threads, time);
    let measured = tokio::task::spawn_blocking(measure).await.context("hashing died")?;
    Ok(measured.context("hashing cannot be measured")?.hashes_per_s)
}

/// Transactions a second that insert two documents of the size of a user and
/// its outbox row, with majority and journal, by the plain driver.
pub(crate) async fn transactions_per_s(mongo: &Mongo, time: Duration) -> anyhow::Result<f64> {
    let client = mongo.client();
    let scratch = client.database("bench_limit");
    let (one, two) = (scratch.collection("one"), scratch.collection("two"));
    one.insert_one(doc! {}).await?;
    two.insert_one(doc! {}).await?;
    let begun = Instant::now();
    let again = futures::stream::repeat(())
        .take_while(|()| std::future::ready(begun.elapsed() < time))
        .map(|()| transaction(client, &one, &two))
        .buffer_unordered(CLIENTS);
    let done = again.fold(Ok(0), async |count: anyhow::Result<u64>, done| {
        done?;
        Ok(count? + 1)
    });
    let count = done.await?;
    let took = begun.elapsed();
    scratch.drop().await?;
    Ok(rate(count, took))
}

async fn transaction(
    client: &Client,
    one: &Collection<Document>,
    two: &Collection<Document>,
) -> mongodb::error::Result<()> {
    let mut session = client.start_session().await?;
    session
        .start_transaction()
        .read_concern(ReadConcern::snapshot())
        .write_concern(WriteConcern::majority())
        .await?;
    one.insert_one(document()).session(&mut session).await?;
    two.insert_one(document()).session(&mut session).await?;
    session.commit_transaction().await
}

fn document() -> Document {
    let bytes = clock::random_id().into_bytes().to_vec();
    let id = Binary { subtype: BinarySubtype::Uuid, bytes };
    doc! { "_id": id, "text": "x".repeat(300) }
}
