//! Says for each consumer how many unfinished rows await it and how old the oldest
//! of them is, as metrics.
//!
//! A figure that is not known is NaN: of a consumer that is retired or whose note
//! is gone, since nobody looks at it any more and its last figure would stand as
//! long as this process, and of all consumers while MongoDB does not answer. The leader
//! among the relays looks for all of them. This module only reads, so a process that
//! dies here has changed nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use onboard_contract::ConsumerName;
use onboard_mongo::StoreError;
use onboard_outbox::{AwaitedBy, Consumers, Outbox};
use onboard_runtime::{Availability, Rounds, Shutdown};

use crate::lead::Lead;
use crate::stages::precise;

const EVERY: Duration = Duration::from_secs(15);

/// Looks while this relay leads, until the shutdown.
pub(crate) async fn run(outbox: Outbox, consumers: Consumers, lead: Lead, shutdown: Shutdown) {
    let stop = shutdown.clone();
    let work = || look_on(outbox.clone(), consumers.clone(), stop.clone());
    lead.while_held(shutdown, work).await;
}

async fn look_on(outbox: Outbox, consumers: Consumers, shutdown: Shutdown) {
    let mongo = Availability::new("mongo (lag)");
    let mut published = Published(BTreeSet::from([onboard_events::TODO]));
    let mut rounds = Rounds::new(EVERY, shutdown);
    while let Some(looked) = rounds.next(look(&outbox, &consumers)).await {
        // Nothing is known of any consumer after a failure.
        let (awaited, now_ms) = mongo.report(looked).unwrap_or_default();
        published.0.extend(awaited.keys().cloned());
        for consumer in &published.0 {
            publish(consumer, Figures::of(awaited.get(consumer), now_ms));
        }
    }
}

/// The consumers whose figures the leader has published: they become unknown when it
/// leads no more.
struct Published(BTreeSet<ConsumerName>);

impl Drop for Published {
    fn drop(&mut self) {
        for consumer in &self.0 {
            publish(consumer, Figures::of(None, 0));
        }
    }
}

/// Looks at this program's consumer and at those of other programs that are not
/// retired, and says the time of the look by the server's clock, in Unix ms.
async fn look(
    outbox: &Outbox,
    consumers: &Consumers,
) -> Result<(BTreeMap<ConsumerName, AwaitedBy>, i64), StoreError> {
    let known = consumers.known().await?;
    let awaited = known.into_iter().filter(|consumer| consumer.retired_at_ms.is_none());
    let mut names: BTreeSet<ConsumerName> = awaited.map(|consumer| consumer.name).collect();
    names.insert(onboard_events::TODO);
    let now_ms = outbox.server_ms().await?;
    Ok((outbox.awaited_by_each(&names).await?, now_ms))
}

fn publish(consumer: &ConsumerName, Figures { rows, oldest_seconds }: Figures) {
    let consumer = consumer.as_str().to_owned();
    metrics::gauge!("consumer_awaited", "consumer" => consumer.clone()).set(rows);
    metrics::gauge!("consumer_awaited_oldest_age_seconds", "consumer" => consumer)
        .set(oldest_seconds);
}

/// What the two metrics say of one consumer.
#[derive(Debug, Clone, Copy)]
struct Figures {
    rows: f64,
    oldest_seconds: f64,
}

impl Figures {
    fn of(awaited: Option<&AwaitedBy>, now_ms: i64) -> Self {
        let Some(awaited) = awaited else {
            return Self { rows: f64::NAN, oldest_seconds: f64::NAN };
        };
        let age_ms = awaited.oldest_ms.map_or(0, |oldest_ms| now_ms.saturating_sub(oldest_ms));
        let age = Duration::from_millis(u64::try_from(age_ms).unwrap_or_default());
        Self { rows: precise(awaited.rows), oldest_seconds: age.as_secs_f64() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_that_nobody_looks_at_keeps_no_figure() {
        let gone = Figures::of(None, 60_000);
        assert!(gone.rows.is_nan() && gone.oldest_seconds.is_nan(), "{gone:?}");
    }

    #[test]
    fn a_consumer_that_no_row_awaits_is_zero_behind() {
        for (rows, oldest_ms, age) in [(0, None, 0.0), (2, Some(15_000), 45.0), (1, None, 0.0)] {
            let figures = Figures::of(Some(&AwaitedBy { rows, oldest_ms }), 60_000);
            assert_eq!((figures.rows, figures.oldest_seconds), (precise(rows), age));
        }
    }
}
