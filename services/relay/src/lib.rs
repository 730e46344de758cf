//! The relay: finds outbox rows that are due and starts one workflow for each.
//!
//! A change stream hands over new rows; a sweep makes it complete. It may die anywhere: a
//! row that it had in hand is due, or becomes due again, and a workflow that it had started
//! already is "already started", which is success. Several relays may run, and share the rows.

mod census;
mod claim;
mod config;
mod hand_over;
mod held;
mod input;
mod lag;
mod lead;
mod mend;
pub mod metrics;
mod note;
mod pause;
mod rebuild;
mod relay;
mod retention;
mod room;
mod servers;
mod share;
mod stages;
mod start;
mod strangers;
mod sweep;
mod wake;

use std::time::Duration;

use onboard_http::{MANAGEMENT_DRAIN_MAX, Management, Server};
use onboard_outbox::relays::Relays;
use onboard_outbox::{Consumers, Outbox};
use onboard_runtime::{Metric, Problems, Readiness, Shutdown, Tasks};
use onboard_temporal::Temporal;

pub use config::{RelayArgs, RelayConfig};

/// The service that starts one workflow per outbox row.
#[derive(Debug, Clone, Copy)]
pub struct Relay;

impl onboard_runtime::Service for Relay {
    const NAME: &'static str = "relay";
    const ABOUT: &'static str = "Run the relay: starts one workflow per outbox row";
    const PORT: u16 = 4003;
    const MANAGEMENT_PORT: Option<u16> = None;
    /// Rows in hand and HTTP end side by side, then the second listener.
    const STOP_MAX: Duration = relay::DRAIN_DEADLINE.saturating_add(MANAGEMENT_DRAIN_MAX);
    const METRICS: &'static [&'static [Metric]] = metrics::CATALOGUE;

    type Args = RelayArgs;
    type Config = RelayConfig;
    type Error = RunError;

    fn check(args: RelayArgs, problems: &mut Problems) -> Option<RelayConfig> {
        args.check(problems)
    }

    async fn run(config: RelayConfig, shutdown: Shutdown) -> Result<(), RunError> {
        let tasks = Tasks::new(shutdown.clone());
        let outbox = Outbox::connect(&config.outbox).await.map_err(RunError::Store)?;
        let mongo = outbox.mongo();
        let temporal = Temporal::start(&config.temporal, &tasks, shutdown.clone());
        let readiness = Readiness::new(vec![mongo.check(), temporal.check()]);
        let management = Management::bind(config.management, &readiness).await;
        let management = management.map_err(RunError::Http)?;
        let http = Server::bind(config.http_address, axum::Router::new(), readiness)
            .await
            .map_err(RunError::Http)?;
        let relays = Relays::join(&outbox);
        let (share, membership) = share::share(relays.id());
        let (lead, renewal) = lead::lead(&relays, membership);
        tasks.spawn("lead", lead::run(renewal, shutdown.clone()));
        let (settings, stop) = (config.settings, shutdown.clone());
        let stages = stages::run(outbox.clone(), settings.overdue, lead.clone(), stop.clone());
        tasks.spawn("stages", stages);
        let lag = lag::run(outbox.clone(), Consumers::new(mongo), lead.clone(), stop.clone());
        tasks.spawn("lag", lag);
        let clocks = retention::compare_clocks(outbox.clone(), shutdown.clone());
        tasks.spawn("clocks", clocks);
        let census = census::run(temporal.clone(), outbox.clone(), lead.clone(), stop.clone());
        tasks.spawn("census", census);
        tasks.spawn(
            "retention",
            retention::run(outbox.clone(), config.retention, lead.clone(), stop),
        );
        let place = (&lead, share, relays);
        relay::spawn((&outbox, &temporal), settings, place, (&tasks, &shutdown));
        let serve = async {
            let served = http.serve(shutdown.clone()).await;
            shutdown.begin();
            served.map(drop).map_err(RunError::Http)
        };
        let work = async { tokio::join!(serve, tasks.drained(relay::DRAIN_DEADLINE)) };
        let (served, drained) = management.during(&shutdown, Box::pin(work)).await;
        if !drained {
            tracing::warn!("some rows were still being worked on; they become due again");
        }
        served
    }
}

/// The relay could not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The MongoDB settings are not usable.
    #[error("the relay cannot use MongoDB")]
    Store(#[source] onboard_mongo::StoreError),
    /// The HTTP address cannot be served.
    #[error("the relay cannot serve its health")]
    Http(#[source] onboard_http::ServerError),
}
