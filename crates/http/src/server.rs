//! The HTTP server of a process.
//!
//! When the process dies here, clients see a closed connection and do not know
//! whether their request was carried out; every request of the system is safe
//! to repeat.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn;
use onboard_runtime::{Readiness, Shutdown};
use tokio::net::TcpListener;

use crate::connections::Connections;
use crate::{guard, health, metrics, observe};

/// How long requests in flight may take to end once the shutdown has begun.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be had.
    #[error("cannot listen on {0}")]
    Bind(SocketAddr, #[source] std::io::Error),
    /// The listening socket is broken.
    #[error("cannot accept connections on {0}")]
    Accept(SocketAddr, #[source] std::io::Error),
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drain {
    /// Every request in flight got its answer.
    Graceful,
    /// Some did not end in time and were cut off.
    Forced,
}

/// A server that listens, but does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
}

impl Server {
    /// Listens, so that the address (port 0 included) is known before anything
    /// is answered. Adds `/healthz`, `/readyz`, `/metrics` and `/problems/*`.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn bind(
        address: SocketAddr,
        router: Router,
        readiness: Readiness,
    ) -> Result<Self, ServerError> {
        metrics::install();
        let bound = TcpListener::bind(address).await.and_then(|l| Ok((l.local_addr()?, l)));
        let (local, listener) = bound.map_err(|error| ServerError::Bind(address, error))?;
        tracing::info!(address = %local, "listening for HTTP");
        Ok(Self { listener, address: local, router: complete(router, readiness) })
    }

    /// The address it listens on.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the shutdown begins, then lets what is in flight end.
    ///
    /// # Errors
    /// The listening socket is broken.
    pub async fn serve(self, shutdown: Shutdown) -> Result<Drain, ServerError> {
        let mut connections = Connections::new(self.router, shutdown.clone());
        let mut upkeep = tokio::time::interval(metrics::UPKEEP_EVERY);
        loop {
            tokio::select! {
                () = shutdown.begun() => break,
                accepted = self.listener.accept(), if connections.has_room() => {
                    connections.take(accepted).await
                        .map_err(|error| ServerError::Accept(self.address, error))?;
                }
                () = connections.one_ended() => (),
                _ = upkeep.tick() => metrics::upkeep(),
            }
        }
        drop(self.listener);
        Ok(drain(connections, self.address).await)
    }
}

/// What every service answers and keeps, around its own routes.
fn complete(router: Router, readiness: Readiness) -> Router {
    guard::guard(router.merge(health::routes(readiness))).layer(from_fn(observe::observe))
}

async fn drain(connections: Connections, address: SocketAddr) -> Drain {
    let open = connections.open();
    let drain = connections.drain(DRAIN_MAX).await;
    match drain {
        Drain::Graceful => tracing::info!(%address, open, "stopped gracefully"),
        Drain::Forced => tracing::warn!(%address, open, "stopped; requests were cut off"),
    }
    drain
}

#[cfg(test)]
mod tests;
