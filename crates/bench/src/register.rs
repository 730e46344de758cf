//! How many people a second can register.

use std::time::Duration;

use mongodb::bson::{Uuid, doc};
use onboard_chaos::Live;
use onboard_ops::Databases;

use crate::bed::{AUTH, AUTH_CHEAP};
use crate::drain::bytes;
use crate::hashing::hashes_per_s;
use crate::load::{People, Tally};
use crate::rest::at_rest;
use crate::samples::as_float;
use crate::transactions::transactions;
use crate::{Bed, Figure, Scale, Scenario, Target};

/// Clients that register without a pause.
pub(crate) const CLIENTS: usize = 32;
/// How long a backlog of this scenario may take to be worked off.
const REST: Duration = Duration::from_mins(10);

pub(crate) async fn run(bed: &Bed, scale: Scale, live: &Live) -> anyhow::Result<Vec<Figure>> {
    let mongo = bed.mongo().await?;
    let mut figures = real(bed, scale, live, &mongo).await?;
    figures.extend(cheap(bed, scale, live, &mongo).await?);
    Ok(figures)
}

/// With production's hashing, while the pipeline works behind.
async fn real(
    bed: &Bed,
    scale: Scale,
    live: &Live,
    mongo: &Databases,
) -> anyhow::Result<Vec<Figure>> {
    let (people, url) = (People::new()?, bed.register_url(AUTH)?);
    let hashing = scale.pick(Duration::from_secs(5), Duration::from_secs(1));
    let length = scale.pick(Duration::from_secs(20), Duration::from_secs(2));
    live.show("hashing alone".to_owned());
    let before = hashes_per_s(hashing).await?;
    let finished_before = finished(mongo).await?;
    let tally = live
        .during(people.closed(&url, CLIENTS, length), || {
            format!("{CLIENTS} clients register; the pipeline works behind")
        })
        .await;
    let meanwhile = finished(mongo).await?.saturating_sub(finished_before);
    at_rest(mongo, REST, live).await?;
    live.show("hashing alone".to_owned());
    let limit = f64::midpoint(before, hashes_per_s(hashing).await?);
    Ok(vec![
        named("registrations, 32 clients", tally.rate(), "1/s")
            .beside("argon2id alone, a thread per CPU", limit)
            .aim(Target::RatioAtLeast(0.85)),
        named("  answered 201, p99", tally.answers.ms(0.99), "ms"),
        named("  neither 201 nor 503", as_float(tally.failed), ""),
        named("  of them through to the end meanwhile", as_float(meanwhile), ""),
    ])
}

async fn finished(mongo: &Databases) -> anyhow::Result<u64> {
    let acknowledged = doc! { "acknowledgedAt": { "$type": "date" } };
    Ok(mongo.outbox().count_documents(acknowledged).await?)
}

/// With the cheapest hashing, the relay stopped: HTTP and the transaction.
async fn cheap(
    bed: &Bed,
    scale: Scale,
    live: &Live,
    mongo: &Databases,
) -> anyhow::Result<Vec<Figure>> {
    let (people, url) = (People::new()?, bed.register_url(AUTH_CHEAP)?);
    let length = scale.pick(Duration::from_secs(10), Duration::from_secs(1));
    let relay = bed.component("relay")?;
    relay.stop().await?;
    let count = scale.pick(8_000, 400);
    let before = transactions(mongo, count, live).await?;
    let tally = live
        .during(people.closed(&url, CLIENTS, length), || {
            format!("{CLIENTS} clients register with the cheapest hashing")
        })
        .await;
    let limit = f64::midpoint(before, transactions(mongo, count, live).await?);
    remove(mongo, &tally).await?;
    relay.start().await?;
    Ok(vec![
        named("registrations, cheapest hashing, no pipeline", tally.rate(), "1/s")
            .beside("two-document transactions alone", limit)
            .aim(Target::AtLeast(1_000.0)),
        named("  answered 201, p99", tally.answers.ms(0.99), "ms").aim(Target::AtMost(60.0)),
        named("  neither 201 nor 503", as_float(tally.failed), ""),
    ])
}

/// Takes users and rows away again that the pipeline has not seen.
async fn remove(mongo: &Databases, tally: &Tally) -> anyhow::Result<()> {
    for some in tally.created.chunks(1_000) {
        let ids: Vec<Uuid> =
            some.iter().map(|(created, _)| bytes(created.user_id.uuid().as_bytes())).collect();
        mongo.outbox().delete_many(doc! { "aggregateId": { "$in": &ids } }).await?;
        mongo.users().delete_many(doc! { "_id": { "$in": &ids } }).await?;
    }
    Ok(())
}

fn named(name: &str, value: f64, unit: &'static str) -> Figure {
    Figure::new(Scenario::Register, name, value, unit)
}
