//! A gRPC server in front of Temporal: it answers "unavailable" to single calls, those
//! whose message holds some bytes, and passes all others on.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use tokio::task::JoinSet;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{BoxFuture, Bytes, Context, Poll, Service, StdError};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};

use super::{Options, shared_servers};

/// The calls to the shared Temporal.
pub(crate) struct Calls {
    address: SocketAddr,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    marked: Mutex<Option<Vec<u8>>>,
    unanswered: Mutex<Vec<Bytes>>,
}

impl Calls {
    /// All are passed on at first.
    pub(crate) async fn start() -> Self {
        let temporal = shared_servers().await.temporal_address();
        let temporal = Endpoint::from_shared(format!("http://{temporal}")).unwrap().connect_lazy();
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = incoming.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let passing = Passing { temporal, shared: Arc::clone(&shared) };
        let serve = Server::builder().serve_with_incoming(passing, incoming);
        let mut serving = JoinSet::new();
        serving.spawn(async { serve.await.expect("the calls are served") });
        Self { address, shared, _serving: serving }
    }

    /// Whether calls whose message holds these bytes are not answered from now on; no
    /// bytes are in all.
    pub(crate) fn do_not_answer(&self, marked: Option<&[u8]>) {
        *self.shared.marked.lock().unwrap() = marked.map(<[u8]>::to_vec);
    }

    /// How many were not answered so far.
    pub(crate) fn unanswered(&self) -> usize {
        self.unanswered_with(b"")
    }

    /// How many of those hold these bytes.
    pub(crate) fn unanswered_with(&self, marked: &[u8]) -> usize {
        let all = self.shared.unanswered.lock().unwrap();
        all.iter().filter(|message| memchr::memmem::find(message, marked).is_some()).count()
    }
}

impl Options {
    /// The calls of a component to Temporal go this way.
    pub(crate) fn temporal_calls_through(self, component: &'static str, calls: &Calls) -> Self {
        self.with_for(component, "TEMPORAL_ADDRESS", &calls.address.to_string())
    }
}

#[derive(Clone)]
struct Passing {
    temporal: Channel,
    shared: Arc<Shared>,
}

impl Passing {
    async fn pass(mut self, request: Request<Body>) -> Result<Response<Body>, StdError> {
        let (head, body) = request.into_parts();
        let message: Bytes = body.collect().await?.to_bytes();
        if self.is_marked(&message) {
            self.shared.unanswered.lock().unwrap().push(message);
            return Ok(Status::unavailable("not this one").into_http());
        }
        std::future::poll_fn(|context| self.temporal.poll_ready(context)).await?;
        let request = Request::from_parts(head, Body::new(Full::new(message)));
        Ok(self.temporal.call(request).await?)
    }

    fn is_marked(&self, message: &[u8]) -> bool {
        let marked = self.shared.marked.lock().unwrap();
        marked.as_ref().is_some_and(|marked| memchr::memmem::find(message, marked).is_some())
    }
}

impl Service<Request<Body>> for Passing {
    type Response = Response<Body>;
    type Error = StdError;
    type Future = BoxFuture<Response<Body>, StdError>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let passing = self.clone();
        Box::pin(async move {
            let passed = passing.pass(request).await;
            Ok(passed.unwrap_or_else(|error| Status::unavailable(error.to_string()).into_http()))
        })
    }
}
