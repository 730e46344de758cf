//! The todo service: turns `USER_REGISTERED` messages into welcome tasks, each
//! exactly once, and tells the registration's workflow, also when that asks. Beside
//! that it serves users their todos (`api`).
//!
//! It starts while MongoDB, RabbitMQ and Temporal are away and comes up when
//! they do. It may die anywhere: before the commit the message comes again;
//! after it the message is a duplicate; and what was committed but not
//! acknowledged is found by the sweep. Several todo services may run.

mod api;
mod collections;
mod config;
mod effect;
pub mod metrics;
mod rows;
mod signal;
pub mod todos;

use std::time::Duration;

use onboard_broker::{Consumer, Publisher};
use onboard_events::TODO_QUEUE;
use onboard_http::{MANAGEMENT_DRAIN_MAX, Management, Server};
use onboard_inbox::{Answers, Consuming, Inbox, retain};
use onboard_mongo::Mongo;
use onboard_runtime::{Metric, Problems, Readiness, Shutdown, Tasks};
use onboard_temporal::Temporal;
use onboard_token::{PublicKeys, Verifier};

pub use api::openapi::description;
pub use collections::{INBOX_NAMES, collections};
pub use config::{TodoArgs, TodoConfig, TodoDatabaseArgs};

use crate::api::Api;
use crate::effect::WelcomeTodo;
use crate::rows::rows;
use crate::signal::Signal;
use crate::todos::Todos;

/// How long messages in flight have to end at the shutdown.
const DRAIN_DEADLINE: Duration = Duration::from_secs(15);

/// The service that has the todos and creates the welcome task.
#[derive(Debug, Clone, Copy)]
pub struct Todo;

impl onboard_runtime::Service for Todo {
    const NAME: &'static str = "todo";
    const ABOUT: &'static str = "Run the todo service: todos, and the welcome task";
    const PORT: u16 = 4002;
    const MANAGEMENT_PORT: Option<u16> = Some(4102);
    /// Messages and requests in flight end side by side, then the connection of
    /// the dead letters, then the second listener.
    const STOP_MAX: Duration = DRAIN_DEADLINE
        .saturating_add(onboard_broker::CLOSE_MAX)
        .saturating_add(MANAGEMENT_DRAIN_MAX);
    const METRICS: &'static [&'static [Metric]] = metrics::CATALOGUE;

    type Args = TodoArgs;
    type Config = TodoConfig;
    type Error = RunError;

    fn check(args: TodoArgs, problems: &mut Problems) -> Option<TodoConfig> {
        args.check(problems)
    }

    async fn run(config: TodoConfig, shutdown: Shutdown) -> Result<(), RunError> {
        let tasks = Tasks::new(shutdown.clone());
        let mongo = Mongo::new(&config.mongo).await.map_err(RunError::Store)?;
        let temporal = Temporal::start(&config.temporal, &tasks, shutdown.clone());
        let dead_letters =
            Publisher::start(&config.broker, "todo dead letters", &tasks, shutdown.clone());
        let (broker, name) = (&config.broker, "todo consumer");
        let consumer =
            Consumer::new(broker, TODO_QUEUE, name, config.prefetch, dead_letters.clone());

        let keys = PublicKeys::remote(&config.jwks, "auth's key set");
        tasks.spawn("keys of tokens", keys.clone().run(config.jwks.refresh(), shutdown.clone()));
        let verifier = Verifier::new(config.tokens, keys);
        let api = api::router(Api::new(Todos::new(&mongo), config.per_user_max, verifier));
        let api = onboard_http::openapi::serve(api, &description());
        // Not auth: what it published last is good for JWKS_KEYS_AGE_MAX.
        let readiness = Readiness::new(vec![mongo.check(), consumer.check(), temporal.check()]);
        let management = Management::bind(config.management, &readiness).await;
        let management = management.map_err(RunError::Http)?;
        let http = Server::bind(config.http_address, api, readiness)
            .await
            .map_err(RunError::Http)?
            .with_edge(config.edge);

        let inbox = Inbox::new(mongo.database(), INBOX_NAMES);
        let rows = rows(temporal.clone(), shutdown.clone());
        let retention = retain(inbox.clone(), config.retention, rows, shutdown.clone());
        tasks.spawn("retention", retention);
        let effect = WelcomeTodo(Todos::new(&mongo));
        let answers = Answers {
            consumer: onboard_events::TODO,
            inbox: inbox.clone(),
            effect: effect.clone(),
        };
        let answering = answers.poll(&temporal, &shutdown).map_err(RunError::Thread)?;
        let (acknowledge, sweep) = (Signal(temporal), config.sweep);
        let consuming = Consuming { consumer, inbox, effect, acknowledge, sweep };
        consuming.start(&tasks, shutdown.clone());

        let serve = async {
            let served = http.serve(shutdown.clone()).await;
            shutdown.begin();
            served.map(drop).map_err(RunError::Http)
        };
        let work = async {
            let (served, drained, answered) = tokio::join!(
                serve,
                tasks.drained(DRAIN_DEADLINE),
                answering.drained(&shutdown, DRAIN_DEADLINE),
            );
            if !answered {
                tracing::warn!("some questions were not answered; Temporal asks again");
            }
            if !drained {
                tracing::warn!("some messages were still being worked on; they come again");
            }
            dead_letters.close().await;
            served
        };
        management.during(&shutdown, Box::pin(work)).await
    }
}

/// The todo service could not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The MongoDB settings are not usable.
    #[error("the todo service cannot use MongoDB")]
    Store(#[source] onboard_mongo::StoreError),
    /// The system gives no thread.
    #[error("the todo service cannot start the thread that answers questions")]
    Thread(#[source] std::io::Error),
    /// The HTTP address cannot be served.
    #[error("the todo service cannot serve HTTP")]
    Http(#[source] onboard_http::ServerError),
}
