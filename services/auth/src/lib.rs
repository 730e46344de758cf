//! Accounts: the first stop of a registration's way.
//!
//! A registration is one `POST`: `routes` → `register` → `email` and
//! `password` → `hash` → one MongoDB transaction in `onboard_store`. What
//! happens afterwards is other processes' work; `registration` shows it.
//!
//! The process keeps nothing: when it dies, a request in flight has either
//! committed (user and outbox row) or left nothing.

pub mod config;
pub mod email;
pub mod hash;
pub mod password;

mod register;
mod registration;
mod routes;

use std::net::SocketAddr;

use onboard_http::{Drain, Server, ServerError};
use onboard_runtime::{Readiness, Shutdown};
use onboard_store::{Mongo, StoreError};

pub use config::{AuthArgs, Config};

/// Why the service does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The MongoDB client cannot be made.
    #[error("auth cannot use its MongoDB settings")]
    Store(#[source] StoreError),
    /// The HTTP server cannot run.
    #[error("auth cannot serve HTTP")]
    Http(#[source] ServerError),
}

/// Runs the service until the shutdown begins and what is in flight has ended.
///
/// # Errors
/// See [`RunError`]. MongoDB being away is none: `/readyz` says so meanwhile.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), RunError> {
    let service = Service::bind(config).await?;
    service.serve(shutdown).await.map(|_: Drain| ())
}

/// The service, listening but not answering yet.
#[derive(Debug)]
pub struct Service {
    server: Server,
}

impl Service {
    /// Prepares everything and listens.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn bind(config: Config) -> Result<Self, RunError> {
        let mongo = Mongo::new(&config.mongo).await.map_err(RunError::Store)?;
        let readiness = Readiness::new(vec![mongo.check()]);
        let router = routes::router(routes::App::new(&config, &mongo));
        let server = Server::bind(config.address, router, readiness).await;
        Ok(Self { server: server.map_err(RunError::Http)? })
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
        self.server.serve(shutdown).await.map_err(RunError::Http)
    }
}

#[cfg(test)]
mod tests;
