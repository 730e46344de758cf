//! Whether the process lives, and whether it can do its work now.

use std::collections::BTreeMap;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use onboard_runtime::Readiness;
use serde_json::json;

use crate::{IdPath, Kind, Problem, metrics};

/// The paths every service answers.
pub(crate) fn routes(readiness: Readiness) -> Router {
    public_routes()
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(metrics::scrape))
}

/// Those that the side to the Internet answers, too: that the process lives says nothing
/// about it, and a balancer can ask for it where it sends requests.
pub(crate) fn public_routes() -> Router {
    Router::new().route("/healthz", get(alive)).route("/problems/{slug}", get(problem))
}

/// Whether the path is for machines that watch, who ask all the time.
pub(crate) fn is_watched(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics")
}

/// Touches no dependency: a restart would not bring one back.
async fn alive() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

/// Every server that does not answer counts, but for those in
/// `?exclude=<name>`, which are asked and shown all the same.
async fn ready(State(readiness): State<Readiness>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let excluded = |name: &str| {
        form_urlencoded::parse(query.as_bytes())
            .any(|(key, value)| key == "exclude" && value == name)
    };
    let found = readiness.check().await;
    let ready = found.iter().all(|check| check.problem.is_none() || excluded(check.name));
    let checks: BTreeMap<_, _> = found
        .into_iter()
        .map(|check| (check.name, check.problem.unwrap_or_else(|| "ok".to_owned())))
        .collect();
    let (status, word) = if ready {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    };
    (status, Json(json!({"status": word, "checks": checks}))).into_response()
}

/// What a problem type means.
async fn problem(IdPath(slug): IdPath<String>) -> Result<Response, Problem> {
    let kind = slug.as_deref().and_then(Kind::find).ok_or(Problem::new(Kind::NotFound))?;
    Ok(Json(json!({
        "type": format!("/problems/{}", kind.slug()),
        "title": kind.title(),
        "status": kind.status().as_u16(),
        "meaning": kind.detail(),
    }))
    .into_response())
}
