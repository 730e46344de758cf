//! From the 201 until the welcome task is there, at five registrations a
//! second.
//!
//! Both moments are taken in this process: when the answer was read, and when
//! a change stream told of the committed todo. The stream's own delay counts
//! in, so the figure is a little worse than the truth.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use mongodb::bson::{Bson, Document, doc};
use onboard_chaos::Live;
use onboard_ops::Databases;

use crate::bed::AUTH;
use crate::load::{People, Tally};
use crate::rest::at_rest;
use crate::samples::Samples;
use crate::{Bed, Figure, Scale, Scenario, Target, empty};

const RATE: f64 = 5.0;
/// How long after the last answer a task may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Registrations that are let go by first: connections are made, caches filled.
const WARM_UP: u64 = 10;

pub(crate) async fn run(bed: &Bed, scale: Scale, live: &Live) -> anyhow::Result<Vec<Figure>> {
    let mongo = bed.mongo().await?;
    let (people, url) = (People::new()?, bed.register_url(AUTH)?);
    people.count(&url, 1, WARM_UP).await;
    at_rest(&mongo, PATIENCE, live).await?;
    let floor = empty::floor(bed).await?.ms(0.5);
    let length = scale.pick(Duration::from_mins(1), Duration::from_secs(4));
    let (tally, seen) = live
        .during(register_and_watch(&people, &url, length, &mongo), || {
            format!("{RATE} registrations a second for {} s", length.as_secs())
        })
        .await?;
    at_rest(&mongo, PATIENCE, live).await?;
    let visible = waits(&tally, &seen)?;
    Ok(vec![
        named("201 until the task is visible, p50", visible.ms(0.5))
            .beside("start until first activity begins, p50", floor)
            .aim(Target::AtMost(20.0)),
        named("201 until the task is visible, p99", visible.ms(0.99)).aim(Target::AtMost(60.0)),
        named("POST until 201, p50", tally.answers.ms(0.5)),
        named("POST until 201, p99", tally.answers.ms(0.99)),
    ])
}

/// When the todo of a user was seen, by the user's id.
type Seen = HashMap<String, Instant>;

async fn register_and_watch(
    people: &People,
    url: &str,
    length: Duration,
    mongo: &Databases,
) -> anyhow::Result<(Tally, Seen)> {
    let inserts = [doc! { "$match": { "operationType": "insert" } }];
    let stream = mongo.todos().watch().pipeline(inserts).await?;
    let mut stream = stream.with_type::<Document>();
    let mut seen = Seen::new();
    let mut tally = None;
    let mut loading = std::pin::pin!(people.open(url, RATE, length));
    let mut give_up = Instant::now() + length + PATIENCE;
    loop {
        if tally.as_ref().is_some_and(|tally: &Tally| tally.created.len() <= seen.len()) {
            break;
        }
        tokio::select! {
            done = &mut loading, if tally.is_none() => {
                give_up = Instant::now() + PATIENCE;
                tally = Some(done);
            }
            event = stream.next() => {
                let event = event.context("the change stream ended")??;
                if let Some(user) = user(&event) {
                    seen.insert(user, Instant::now());
                }
            }
            () = tokio::time::sleep_until(give_up.into()) => {
                bail!("only {} tasks were seen", seen.len());
            }
        }
    }
    Ok((tally.unwrap_or_default(), seen))
}

fn user(event: &Document) -> Option<String> {
    let todo = event.get_document("fullDocument").ok()?;
    match todo.get("userId")? {
        Bson::Binary(binary) => binary.to_uuid().ok().map(|id| id.to_string()),
        _ => None,
    }
}

fn waits(tally: &Tally, seen: &Seen) -> anyhow::Result<Samples> {
    let mut waits = Samples::default();
    for (created, answered) in &tally.created {
        let visible = seen.get(&created.user_id.to_string());
        let visible = visible.with_context(|| {
            format!("the task of registration {} was not seen", created.registration_id)
        })?;
        waits.push(visible.saturating_duration_since(*answered));
    }
    if tally.failed > 0 || waits.len() == 0 {
        bail!("{} of {} registrations failed", tally.failed, waits.len());
    }
    Ok(waits)
}

fn named(name: &str, value_ms: f64) -> Figure {
    Figure::new(Scenario::Latency, name, value_ms, "ms")
}
