//! One span, one log line and one count per request, and the headers every
//! answer carries. No query, no body and no raw path is written down: the
//! matched path says which route it was. The span is named and described as
//! OpenTelemetry's conventions for HTTP say, but for `url.path`: a caller can
//! put anything there.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use onboard_runtime::trace as spans;
use tracing::{Instrument, Span};

use crate::client::Peer;
use crate::problem::Occurrence;
use crate::trace::TraceContext;
use crate::{Problem, health};

/// Headers of every answer that does not set them itself.
///
/// No Strict-Transport-Security: it belongs to whoever ends TLS
/// (docs/adr/0023).
const HEADERS: [(HeaderName, &str); 7] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The trace that a request became (W3C Trace Context, level 2, had it as a draft).
pub(crate) const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// What stands for the path of a request that met no route.
const UNMATCHED: &str = "unmatched";

/// The outermost layer of every router.
pub(crate) async fn observe(
    State(context): State<Arc<TraceContext>>,
    mut request: Request,
    next: Next,
) -> Response {
    let seen = Seen::of(&request);
    let path = request.uri().path().to_owned();
    let span = seen.span();
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    let trace = context.place(&span, peer, request.headers());
    request.extensions_mut().insert(trace.clone());
    let started = Instant::now();
    async move {
        let mut response = next.run(request).await;
        let occurrence = Occurrence { path: Some(&path), trace_id: Some(trace.0.trace_id()) };
        complete(&mut response, occurrence);
        if let Some(header) = trace.header().filter(|_| !seen.is_watched()) {
            response.headers_mut().insert(TRACERESPONSE, header);
        }
        seen.record(&response, started);
        response
    }
    .instrument(span)
    .await
}

/// What may be written down about a request.
struct Seen {
    method: &'static str,
    path: String,
}

impl Seen {
    fn of(request: &Request) -> Self {
        let matched = request.extensions().get::<MatchedPath>();
        let path = matched.map_or(UNMATCHED, MatchedPath::as_str).to_owned();
        Self { method: method_label(request.method()), path }
    }

    fn is_watched(&self) -> bool {
        health::is_watched(&self.path)
    }

    /// What is asked again and again by machines is in no trace.
    fn span(&self) -> Span {
        if self.is_watched() {
            return tracing::debug_span!("http.health", path = self.path);
        }
        let route = (self.path != UNMATCHED).then_some(self.path.as_str());
        let name = route.map_or_else(|| self.method.to_owned(), |r| format!("{} {r}", self.method));
        tracing::info_span!(
            "http.request",
            otel.name = name,
            otel.kind = "server",
            http.request.method = self.method,
            http.route = route,
            url.scheme = "http",
            http.response.status_code = tracing::field::Empty,
        )
    }

    fn record(self, response: &Response, started: Instant) {
        let status = response.status().as_u16();
        let elapsed = started.elapsed();
        let span = Span::current();
        span.record("http.response.status_code", i64::from(status));
        if response.status().is_server_error() {
            // Its status is its type: the conventions ask for the number.
            spans::failed(&span, server_error(status));
        }
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        if self.is_watched() {
            tracing::debug!(status, elapsed_ms, "request");
        } else {
            tracing::info!(status, elapsed_ms, "request");
        }
        let labels = [("method", self.method.to_owned()), ("path", self.path)];
        metrics::histogram!("http_request_seconds", &labels).record(elapsed.as_secs_f64());
        let [method, path] = labels;
        let labels = [method, path, ("status", status.to_string())];
        metrics::counter!("http_requests_total", &labels).increment(1);
    }
}

const fn server_error(status: u16) -> &'static str {
    match status {
        500 => "500",
        503 => "503",
        _ => "5xx",
    }
}

/// Clients may invent methods; a label may not grow without bound.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

fn complete(response: &mut Response, occurrence: Occurrence<'_>) {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let body = problem.to_json(occurrence);
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(body);
    }
    add_missing(response.headers_mut());
}

fn add_missing(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}
