//! Accounts: the first stop of a registration's way.
//!
//! A registration is one `POST`: `routes` → `register` → `email`, `password`
//! and `idempotency` → `hash` → one MongoDB transaction in `store`. What
//! happens afterwards is other processes' work; `registration` shows it.
//!
//! A login is another: `login` → `hash` → `session`; `refresh` and `logout` go
//! on with it, `keys` has what signs its tokens, `account` shows who it is.
//!
//! The process keeps nothing: when it dies, a request in flight has either
//! committed (user, outbox row, idempotency key) or left nothing.

pub mod config;
pub mod email;
pub mod hash;
pub mod keys;
pub mod metrics;
pub mod password;
pub mod store;
pub mod throttle;

mod account;
mod device;
mod idempotency;
mod jwks;
mod login;
mod logout;
mod openapi;
mod refresh;
mod register;
mod registration;
mod routes;
mod session;
mod witness;

use std::net::SocketAddr;
use std::time::Duration;

use onboard_http::{DRAIN_MAX, Drain, MANAGEMENT_DRAIN_MAX, Management, Server, ServerError};
use onboard_mongo::StoreError;
use onboard_outbox::Outbox;
use onboard_runtime::{Metric, Problems, Readiness, Shutdown, Tasks, clock};

pub use config::{AuthArgs, Config};
pub use openapi::description;
pub use register::{RegisterArgs, RegisterConfig};
pub use session::{SessionArgs, SessionConfig};
pub use witness::SecurityEventsArgs;

use crate::keys::Keys;
use crate::registration::{Looks, followers};
use crate::store::Registrations;

/// How long the background work has to end at the shutdown.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);

/// The service that has the accounts.
#[derive(Debug, Clone, Copy)]
pub struct Auth;

impl onboard_runtime::Service for Auth {
    const NAME: &'static str = "auth";
    const ABOUT: &'static str = "Run the auth service: accounts over HTTP";
    const PORT: u16 = 4001;
    const MANAGEMENT_PORT: Option<u16> = Some(4101);
    /// The requests in flight, then the background work, then the second listener.
    const STOP_MAX: Duration =
        DRAIN_MAX.saturating_add(DRAIN_DEADLINE).saturating_add(MANAGEMENT_DRAIN_MAX);
    const METRICS: &'static [&'static [Metric]] = metrics::CATALOGUE;

    type Args = AuthArgs;
    type Config = Config;
    type Error = RunError;

    fn check(args: AuthArgs, problems: &mut Problems) -> Option<Config> {
        args.check(problems)
    }

    async fn run(config: Config, shutdown: Shutdown) -> Result<(), RunError> {
        let service = Listening::bind(config).await?;
        service.serve(shutdown).await.map(|_: Drain| ())
    }
}

/// Why the service does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The MongoDB client cannot be made.
    #[error("auth cannot use its MongoDB settings")]
    Store(#[source] StoreError),
    /// The system gives no threads.
    #[error("auth cannot start the threads that hash")]
    Threads(#[source] std::io::Error),
    /// The HTTP server cannot run.
    #[error("auth cannot serve HTTP")]
    Http(#[source] ServerError),
}

/// The service, listening but not answering yet.
#[derive(Debug)]
pub struct Listening {
    server: Server,
    management: Management,
    keys: Keys,
    keys_refresh: Duration,
    looks: Looks,
}

impl Listening {
    /// Prepares everything and listens.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn bind(config: Config) -> Result<Self, RunError> {
        register::begin_error_budget();
        let outbox = Outbox::connect(&config.outbox).await.map_err(RunError::Store)?;
        let mongo = outbox.mongo();
        let keys = Keys::new(mongo, &config.secret);
        let readiness = Readiness::new(vec![mongo.check(), keys.check()]);
        let (overdue_ms, streams) = (clock::millis(config.overdue), config.register.streams_max);
        let registrations = Registrations::new(&outbox);
        let exempt = config.edge.exempt().clone();
        let (followers, looks) = followers(registrations, overdue_ms, streams, exempt);
        let app = routes::App::new(&config, &outbox, keys.clone(), followers);
        let app = app.map_err(RunError::Threads)?;
        let router = routes::router(app);
        let router = onboard_http::openapi::serve(router, &description());
        let management = Management::bind(config.management, &readiness).await;
        let management = management.map_err(RunError::Http)?;
        let server = Server::bind(config.address, router, readiness).await;
        let keys_refresh = config.session.keys_refresh;
        let server = server.map_err(RunError::Http)?.with_edge(config.edge);
        Ok(Self { server, management, keys, keys_refresh, looks })
    }

    /// The address it listens on.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Answers until the shutdown begins, then drains.
    ///
    /// # Errors
    /// The listening socket is broken.
    pub async fn serve(self, shutdown: Shutdown) -> Result<Drain, RunError> {
        let Self { server, management, keys, keys_refresh, looks } = self;
        let tasks = Tasks::new(shutdown.clone());
        tasks.spawn("signing keys", keys.run(keys_refresh, shutdown.clone()));
        let closing = server.closing();
        tasks.spawn("followed registrations", looks.run(closing.clone()));
        let serve = async {
            let served = server.serve(shutdown.clone()).await;
            closing.begin();
            shutdown.begin();
            if !tasks.drain(DRAIN_DEADLINE).await {
                tracing::warn!("signing keys or registrations were still being read");
            }
            served.map_err(RunError::Http)
        };
        management.during(&shutdown, Box::pin(serve)).await
    }
}

#[cfg(test)]
mod tests;
