//! `GET /.well-known/jwks.json`: the keys that access tokens are checked with
//! (RFC 7517).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, header};
use onboard_http::{Kind, Problem, ProblemBody};
use onboard_runtime::clock;
use onboard_token::JwkSet;

use crate::routes::App;

/// Half the time that a key is published before it signs: whoever obeys knows
/// the key in time.
const CACHE: &str = "public, max-age=300";

/// The public keys.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    tag = "keys",
    responses(
        (status = 200, description = "The keys whose tokens are good.", body = JwkSet),
        (status = 503, description = "The keys cannot be had now.", body = ProblemBody<'_>,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn jwks(
    State(app): State<Arc<App>>,
) -> Result<([(HeaderName, &'static str); 1], Json<JwkSet>), Problem> {
    let set = app.keys.published(clock::now_ms()).ok_or(Problem::new(Kind::Unavailable))?;
    Ok(([(header::CACHE_CONTROL, CACHE)], Json(set)))
}
