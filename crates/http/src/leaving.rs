//! The time between the word to stop and the closed door.
//!
//! Load balancers learn of a process that stops later than the process does:
//! they ask `/readyz` every few seconds, or are told by somebody who is. Until
//! then they send requests, and one that finds the door closed is an error that
//! a person sees. So for `SHUTDOWN_DELAY` everything is still answered, while
//! `/readyz` says 503 and every answer asks for its connection to be closed.

use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use onboard_runtime::Shutdown;
use serde_json::json;

/// Waits for the shutdown, then for `delay`.
pub(crate) async fn over(shutdown: &Shutdown, delay: Duration) {
    shutdown.begun().await;
    if !delay.is_zero() {
        tracing::info!(?delay, "not ready any more; still answering");
        tokio::time::sleep(delay).await;
    }
}

/// Once the shutdown has begun: not ready, and no connection is kept.
pub(crate) async fn announce(
    State(shutdown): State<Shutdown>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = if shutdown.has_begun() && request.uri().path() == "/readyz" {
        let body = Json(json!({"status": "stopping", "checks": {}}));
        (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
    } else {
        next.run(request).await
    };
    if shutdown.has_begun() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
