//! Messages of registrations that never were.

use std::time::Instant;

use futures::{TryStreamExt as _, stream};
use onboard_broker::{BrokerConfig, Publisher};
use onboard_chaos::Live;
use onboard_contract::TraceParent;
use onboard_events::UserRegistered;
use onboard_runtime::{Shutdown, Tasks, clock};

use crate::progress::Progress;
use crate::samples::rate;

/// Publishes whose confirm is awaited at the same time.
const IN_FLIGHT: usize = 32;
/// Tries of one message; each may take 7 s.
const TRIES_MAX: u32 = 3;

pub(super) fn fresh(count: u64) -> Vec<UserRegistered> {
    let one = |_| UserRegistered {
        event_id: clock::ordered_id().into(),
        occurred_at: Some("2026-01-01T00:00:00Z".to_owned()),
        aggregate_version: Some(1),
        user_id: clock::random_id().into(),
        email: Some("nobody@example.com".to_owned()),
        traceparent: None,
    };
    (0..count).map(one).collect()
}

/// Publishes them as the worker does; how many were confirmed a second.
pub(super) async fn publish(
    config: &BrokerConfig,
    events: &[UserRegistered],
    live: &Live,
) -> anyhow::Result<f64> {
    let count = u64::try_from(events.len())?;
    let shutdown = Shutdown::new();
    let tasks = Tasks::new(shutdown.clone());
    let publisher = Publisher::start(config, "bench", &tasks, shutdown.clone());
    let progress = Progress::new("publishing", count);
    let begun = Instant::now();
    let work = stream::iter(events.iter().map(Ok)).try_for_each_concurrent(
        IN_FLIGHT,
        async |event| -> anyhow::Result<()> {
            one(&publisher, event).await?;
            progress.one();
            Ok(())
        },
    );
    let done = live.during(work, || progress.line()).await;
    let took = begun.elapsed();
    shutdown.begin();
    publisher.close().await;
    done?;
    Ok(rate(count, took))
}

async fn one(publisher: &Publisher, event: &UserRegistered) -> anyhow::Result<()> {
    let trace = TraceParent::from_random(event.event_id.uuid().as_u128(), 1);
    let message = event.message(Some(trace));
    let mut tries = 1;
    loop {
        match publisher.publish(&message).await {
            Err(_) if tries < TRIES_MAX => tries += 1,
            answer => return Ok(answer?),
        }
    }
}
