//! The HTTP server of a process.
//!
//! When the process dies here, clients see a closed connection and do not know
//! whether their request was carried out; every request of the system is safe
//! to repeat.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use onboard_runtime::{Readiness, Shutdown};

use crate::connections::Connections;
use crate::limit::addresses;
use crate::listener::Listener;
use crate::trace::TraceContext;
use crate::{Edge, client, guard, head, health, leaving, metrics, observe};

/// How long requests in flight may take to end once the shutdown has begun.
pub const DRAIN_MAX: Duration = Duration::from_secs(10);

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be had.
    #[error("cannot listen on {0}")]
    Bind(SocketAddr, #[source] std::io::Error),
    /// The address of the second listener cannot be had.
    #[error("cannot listen on {0} for health and metrics (ONBOARD_MANAGEMENT_ADDRESS)")]
    Management(SocketAddr, #[source] std::io::Error),
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
    listener: Listener,
    router: Router,
    edge: Edge,
    readiness: Readiness,
    closing: Shutdown,
}

impl Server {
    /// Listens, so that the address (port 0 included) is known before anything
    /// is answered. The router gets `/healthz` and `/problems/*` besides and, unless the
    /// edge keeps them for the second listener, `/readyz` and `/metrics`.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn bind(
        address: SocketAddr,
        router: Router,
        readiness: Readiness,
    ) -> Result<Self, ServerError> {
        metrics::install(&[]);
        let bound = Listener::bind(address).await;
        let listener = bound.map_err(|error| ServerError::Bind(address, error))?;
        tracing::info!(address = %listener.address(), "listening for HTTP");
        let (edge, closing) = (Edge::default(), Shutdown::new());
        Ok(Self { listener, router, edge, readiness, closing })
    }

    /// With the settings of a side to the Internet; by default there is no
    /// limit but that on connections.
    #[must_use]
    pub fn with_edge(mut self, edge: Edge) -> Self {
        self.edge = edge;
        self
    }

    /// The address it listens on.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Begins when nothing new is answered any more: the shutdown has begun, and its delay
    /// is over. For answers that end with the server alone.
    #[must_use]
    pub fn closing(&self) -> Shutdown {
        self.closing.clone()
    }

    /// Answers until the shutdown begins and its delay is over, then lets what
    /// is in flight end.
    ///
    /// # Errors
    /// The listening socket is broken.
    pub async fn serve(self, shutdown: Shutdown) -> Result<Drain, ServerError> {
        let health = if self.edge.api_alone {
            health::public_routes()
        } else {
            health::routes(self.readiness.clone())
        };
        let router = complete(self.router.merge(health), &self.edge, &shutdown);
        let (address, closing) = (self.listener.address(), self.closing);
        let mut connections = Connections::new(router, closing.clone(), &self.edge);
        let left = leaving::over(&shutdown, self.edge.shutdown_delay);
        tokio::select! {
            taken = self.listener.take_until(&mut connections, left) => {
                taken.map_err(|error| ServerError::Accept(address, error))?;
            }
            () = keep_house(&self.readiness) => (),
        }
        closing.begin();
        Ok(drain(connections, address, DRAIN_MAX).await)
    }
}

/// What a process does beside its answers, without an end.
async fn keep_house(readiness: &Readiness) {
    tokio::select! {
        () = metrics::keep_up() => (),
        () = metrics::watch(readiness) => (),
    }
}

/// What every service keeps around its routes, from the inside out.
pub(crate) fn complete(router: Router, edge: &Edge, shutdown: &Shutdown) -> Router {
    let limits = Arc::new(edge.address_limits());
    let proxies = Arc::new(client::Proxies::new(edge.proxies.clone()));
    let limited = guard::guard(router)
        .layer(from_fn_with_state(limits, addresses::limit))
        .layer(from_fn_with_state(proxies, client::resolve));
    let context = TraceContext { adopted: edge.adopted, proxies: edge.proxies.clone() };
    let shared = edge.origins.clone().around(limited);
    shared
        .layer(from_fn(head::check))
        .layer(from_fn_with_state(shutdown.clone(), leaving::announce))
        .layer(from_fn_with_state(Arc::new(context), observe::observe))
}

pub(crate) async fn drain(
    connections: Connections,
    address: SocketAddr,
    deadline: Duration,
) -> Drain {
    let open = connections.open();
    let drain = connections.drain(deadline).await;
    match drain {
        Drain::Graceful => tracing::info!(%address, open, "stopped gracefully"),
        Drain::Forced => tracing::warn!(%address, open, "stopped; requests were cut off"),
    }
    drain
}

#[cfg(test)]
mod tests;
