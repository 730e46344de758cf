//! The open connections of a server.
//!
//! axum's own loop has no time limit for the head of a request, so a client
//! that sends it byte by byte would hold a connection for ever.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use onboard_runtime::Shutdown;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Drain;

/// How long a client may take to send the head of a request, and how long a
/// connection may stay idle.
const HEAD_MAX: Duration = Duration::from_secs(30);
/// Open connections beyond which no further one is taken; the kernel queues.
const OPEN_MAX: usize = 8192;
/// The pause when the process has run out of descriptors or memory.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(200);

pub(crate) struct Connections {
    router: Router,
    shutdown: Shutdown,
    open: JoinSet<()>,
}

impl Connections {
    pub(crate) fn new(router: Router, shutdown: Shutdown) -> Self {
        Self { router, shutdown, open: JoinSet::new() }
    }

    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.open.len() < OPEN_MAX
    }

    /// Serves a connection, if there is one. Only a socket that will never
    /// accept again is an error.
    pub(crate) async fn take(
        &mut self,
        accepted: io::Result<(TcpStream, SocketAddr)>,
    ) -> io::Result<()> {
        match accepted {
            Ok((stream, _)) => {
                self.open.spawn(serve(stream, self.router.clone(), self.shutdown.clone()));
            }
            Err(error) if error.kind() == ErrorKind::InvalidInput => return Err(error),
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; trying again");
                self.shutdown.sleep(EXHAUSTED_PAUSE).await;
            }
        }
        Ok(())
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

async fn serve(stream: TcpStream, router: Router, shutdown: Shutdown) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
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

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::sync::Notify;

    #[tokio::test]
    async fn a_request_that_never_ends_is_cut_off() {
        let reached = std::sync::Arc::new(Notify::new());
        let handler = {
            let reached = reached.clone();
            async move || {
                reached.notify_one();
                std::future::pending::<()>().await;
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let shutdown = Shutdown::new();
        let router = Router::new().route("/", get(handler));
        let mut connections = Connections::new(router, shutdown.clone());
        connections.take(listener.accept().await).await.unwrap();
        reached.notified().await;
        shutdown.begin();
        assert_eq!(connections.drain(Duration::from_millis(20)).await, Drain::Forced);
    }
}
