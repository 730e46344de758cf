//! The worker: runs the registration workflow and its activities.
//!
//! It may die anywhere. A workflow goes on from its history on the next
//! worker; an activity that was cut off is tried again. Beside that it hands
//! the acknowledgements that come over the broker to their runs.

mod acknowledgements;
mod config;
mod deployment;
mod depths;
pub mod metrics;
mod polling;
mod tuning;

use std::time::Duration;

use onboard_activities::RegistrationActivities;
use onboard_broker::{Consumer, Publisher};
use onboard_contract::ACKNOWLEDGEMENTS_QUEUE;
use onboard_http::{MANAGEMENT_DRAIN_MAX, Management, Server};
use onboard_outbox::Outbox;
use onboard_runtime::{Metric, Problems, Readiness, Shutdown, Tasks};
use onboard_temporal::Temporal;

pub use config::{WorkerArgs, WorkerConfig};
pub use deployment::DeploymentArgs;
pub use tuning::tuned;

use crate::acknowledgements::{Handler, PREFETCH};
use crate::polling::{DRAIN_DEADLINE, poller};

/// How long the connections' own tasks may take once nothing uses them.
const TASKS_DEADLINE: Duration = Duration::from_secs(2);

/// The service that runs the registration workflow and its activities.
#[derive(Debug, Clone, Copy)]
pub struct Worker;

impl onboard_runtime::Service for Worker {
    const NAME: &'static str = "worker";
    const ABOUT: &'static str = "Run the worker: the registration workflow and its activities";
    const PORT: u16 = 4004;
    const MANAGEMENT_PORT: Option<u16> = None;
    /// Activities, then the publisher, then the rest, then the second listener.
    const STOP_MAX: Duration = DRAIN_DEADLINE
        .saturating_add(onboard_broker::CLOSE_MAX)
        .saturating_add(TASKS_DEADLINE)
        .saturating_add(MANAGEMENT_DRAIN_MAX);
    const METRICS: &'static [&'static [Metric]] = metrics::CATALOGUE;

    type Args = WorkerArgs;
    type Config = WorkerConfig;
    type Error = RunError;

    fn check(args: WorkerArgs, problems: &mut Problems) -> Option<WorkerConfig> {
        args.check(problems)
    }

    async fn run(config: WorkerConfig, shutdown: Shutdown) -> Result<(), RunError> {
        let tasks = Tasks::new(shutdown.clone());
        let outbox = Outbox::connect(&config.outbox).await.map_err(RunError::Store)?;
        let mongo = outbox.mongo();
        let todo =
            mongo.beside(&config.outbox.mongo, &config.todo).await.map_err(RunError::Store)?;
        // The activities publish while the worker drains, so the publisher stops
        // after it, not with it.
        let publishing = Shutdown::new();
        let publisher =
            Publisher::start(&config.broker, "worker publisher", &tasks, publishing.clone());
        let temporal = Temporal::start(&config.temporal, &tasks, shutdown.clone());
        let (broker, name) = (&config.broker, "worker acknowledgements");
        let consumer =
            Consumer::new(broker, ACKNOWLEDGEMENTS_QUEUE, name, PREFETCH, publisher.clone());
        let checks = vec![
            mongo.check(),
            todo.check(),
            publisher.check(),
            consumer.check(),
            temporal.check(),
        ];
        let readiness = Readiness::new(checks);
        let management = Management::bind(config.management, &readiness).await;
        let management = management.map_err(RunError::Http)?;
        let http = Server::bind(config.http_address, axum::Router::new(), readiness)
            .await
            .map_err(RunError::Http)?;
        let handler = Handler::new(outbox.clone(), temporal.clone(), shutdown.clone());
        let consume =
            consumer.run(move |message| handler.clone().handle(message), shutdown.clone());
        tasks.spawn("acknowledgements", consume);
        tasks.spawn("queue depths", depths::run(config.broker.clone(), shutdown.clone()));
        let activities = RegistrationActivities::new(
            (&outbox, &todo),
            publisher.clone(),
            config.row_missing_after,
        );
        let task_queue = config.temporal.task_queue.clone();
        let polling = poller(temporal, task_queue, config.deployment, activities);
        let polling = polling.spawn(&shutdown).map_err(RunError::Thread)?;
        let serve = async {
            let served = http.serve(shutdown.clone()).await;
            shutdown.begin();
            served.map(drop).map_err(RunError::Http)
        };
        let work = async {
            let (served, drained) = tokio::join!(serve, polling.drained(&shutdown, DRAIN_DEADLINE));
            if !drained {
                tracing::warn!("some activities were still running; Temporal has them tried again");
            }
            publishing.begin();
            publisher.close().await;
            if !tasks.drain(TASKS_DEADLINE).await {
                tracing::warn!("some background tasks did not end in time");
            }
            served
        };
        management.during(&shutdown, Box::pin(work)).await
    }
}

/// The worker could not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The MongoDB settings are not usable.
    #[error("the worker cannot use MongoDB")]
    Store(#[source] onboard_mongo::StoreError),
    /// The HTTP address cannot be served.
    #[error("the worker cannot serve its health")]
    Http(#[source] onboard_http::ServerError),
    /// The system gives no thread.
    #[error("the worker cannot start the thread that runs workflows")]
    Thread(#[source] std::io::Error),
}
