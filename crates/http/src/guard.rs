//! What keeps one bad request from hurting the others: a time limit, and a
//! panic that ends in an answer.

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{Kind, Problem};

/// How long a request may take, reading its body included.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// Adds the answers for unknown paths and methods, the time limit and the
/// panic's answer.
pub(crate) fn guard(router: Router) -> Router {
    router
        .fallback(async || Problem::new(Kind::NotFound))
        .method_not_allowed_fallback(other_method)
        .layer(from_fn(limit_time))
        .layer(CatchPanicLayer::custom(panicked))
}

/// axum adds the Allow header.
async fn other_method(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    Problem::new(Kind::MethodNotAllowed).into_response()
}

async fn limit_time(request: Request, next: Next) -> Response {
    tokio::time::timeout(REQUEST_MAX, next.run(request)).await.unwrap_or_else(|_| {
        tracing::warn!(limit_s = REQUEST_MAX.as_secs(), "a request took too long");
        let detail = "The request took too long. It may or may not have been carried out.";
        Problem::new(Kind::Unavailable).detail(detail).into_response()
    })
}

#[expect(clippy::needless_pass_by_value, reason = "tower-http asks for it")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let words = panic.downcast_ref::<&str>().copied();
    let words = words.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = words.unwrap_or("unknown"), "a request handler panicked");
    Problem::new(Kind::Internal).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt;

    #[tokio::test(start_paused = true)]
    async fn a_request_that_hangs_is_answered() {
        let router = guard(Router::new().route("/", get(std::future::pending::<()>)));
        let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key("retry-after"));
    }
}
