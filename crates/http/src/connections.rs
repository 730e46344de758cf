//! The open connections of a server: how many there may be, and how long a
//! client may take for what is its turn.
//!
//! axum's own loop has no time limit for the head of a request, so a client
//! that sends it byte by byte would hold a connection for ever. A body has the
//! time limit of its request (`guard`), an answer that of [`stream`].

mod stream;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use onboard_runtime::Shutdown;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use self::stream::Impatient;
use crate::client::Peer;
use crate::network::{ClientNetwork, Networks};
use crate::places::{Place, Places};
use crate::{Drain, Edge};

/// The pause when the process has run out of descriptors or memory.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(200);

/// What the request of one connection may make the process use, in bytes: a head of 16 KiB that
/// is kept while it lasts, the buffer for the next one, a body of 16 KiB and its parts, and the
/// state of the request. `flood::` measures it.
const BYTES_MAX: u64 = 96 * 1024;
/// What is left of that while the answer is written: the buffer for the next request, the head
/// of the answer and the state of the connection.
const ANSWERING_BYTES: u64 = 32 * 1024;

/// What one connection may make the process use, in bytes. The request is over when a client
/// begins not to read `answer` bytes of an answer, which stand in a buffer that has grown by
/// doubling. Answers that every client shares are not counted.
pub(crate) fn bytes_max(answer: u64) -> u64 {
    let buffer = answer.checked_next_power_of_two().unwrap_or(answer);
    BYTES_MAX.max(ANSWERING_BYTES.saturating_add(buffer))
}

/// What bounds the connections of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Of one client network, and a multiple of the networks around it; more are closed
    /// at once.
    pub(crate) per_address: u32,
    /// In all; more wait in the kernel.
    pub(crate) in_all: u32,
    /// For the head of a request, and between two requests.
    pub(crate) head: Duration,
    /// Between two requests of a proxy of ours: longer than proxies keep an
    /// idle connection (60 s, mostly), or they would send into a closed one.
    pub(crate) proxy_idle: Duration,
    /// For reading an answer.
    pub(crate) answer: Duration,
    /// Bytes and lines of a head; more are answered with 431.
    pub(crate) head_bytes: usize,
    pub(crate) head_lines: usize,
}

impl Bounds {
    pub(crate) const fn new(per_address: u32, in_all: u32) -> Self {
        Self {
            per_address,
            in_all,
            head: Duration::from_secs(30),
            proxy_idle: Duration::from_secs(75),
            answer: Duration::from_secs(30),
            head_bytes: 16 * 1024,
            head_lines: 64,
        }
    }
}

pub(crate) struct Connections {
    router: Router,
    shutdown: Shutdown,
    bounds: Bounds,
    proxies: Networks,
    exempt: Networks,
    places: Places,
    open: JoinSet<()>,
}

impl Connections {
    pub(crate) fn new(router: Router, shutdown: Shutdown, edge: &Edge) -> Self {
        Self {
            router,
            shutdown,
            bounds: edge.bounds,
            proxies: edge.proxies.clone(),
            exempt: edge.exempt.clone(),
            places: Places::default(),
            open: JoinSet::new(),
        }
    }

    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.open.len() < self.bounds.in_all as usize
    }

    /// Serves a connection, if there is one. Only a socket that will never
    /// accept again is an error.
    pub(crate) async fn take(
        &mut self,
        accepted: io::Result<(TcpStream, SocketAddr)>,
    ) -> io::Result<()> {
        match accepted {
            Ok((stream, peer)) => self.admit(stream, peer),
            Err(error) if error.kind() == ErrorKind::InvalidInput => return Err(error),
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; trying again");
                self.shutdown.sleep(EXHAUSTED_PAUSE).await;
            }
        }
        Ok(())
    }

    /// Serves the connection, or closes it when its address has too many.
    fn admit(&mut self, stream: TcpStream, peer: SocketAddr) {
        let (address, mut bounds) = (peer.ip(), self.bounds);
        if self.proxies.contains(address) {
            bounds.head = bounds.proxy_idle;
        }
        let exempt = self.proxies.contains(address) || self.exempt.contains(address);
        let place = if exempt {
            None
        } else {
            let place = self.places.take(ClientNetwork::of(address), bounds.per_address);
            let Some(place) = place else {
                metrics::counter!("connections_refused_total").increment(1);
                return;
            };
            Some(place)
        };
        let visit = Visit { stream, peer, bounds, _place: place };
        self.open.spawn(visit.serve(self.router.clone(), self.shutdown.clone()));
    }

    /// Waits until a connection has ended; for ever when none is open.
    pub(crate) async fn one_ended(&mut self) {
        match self.open.join_next().await {
            Some(Ok(())) => (),
            Some(Err(error)) => tracing::error!(%error, "a connection's task died"),
            None => std::future::pending().await,
        }
    }

    /// Lets the requests in flight end.
    pub(crate) async fn drain(mut self, deadline: Duration) -> Drain {
        let all = async { while self.open.join_next().await.is_some() {} };
        if tokio::time::timeout(deadline, all).await.is_ok() {
            return Drain::Graceful;
        }
        self.open.shutdown().await;
        Drain::Forced
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// One connection.
struct Visit {
    stream: TcpStream,
    peer: SocketAddr,
    bounds: Bounds,
    _place: Option<Place>,
}

impl Visit {
    async fn serve(self, router: Router, shutdown: Shutdown) {
        if let Err(error) = self.stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let (bounds, peer) = (self.bounds, Peer(self.peer));
        let router = TowerToHyperService::new(router);
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            router.call(request)
        });
        let stream = TokioIo::new(Impatient::new(self.stream, bounds.answer));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(bounds.head)
            .max_headers(bounds.head_lines)
            .max_buf_size(bounds.head_bytes)
            .serve_connection(stream, service);
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.begun() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

#[cfg(test)]
mod tests;
