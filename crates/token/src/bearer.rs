//! Takes the access token from a request: exactly one `Authorization` header
//! (RFC 6750, section 2.1). A token in the query or the body counts for
//! nothing.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use onboard_http::{Kind, Problem};
use onboard_runtime::Metric;

use crate::identity::Identity;
use crate::refusal::Refusal;
use crate::verifier::{Verifier, VerifyError};

/// The metrics that this crate records.
pub const METRICS: &[Metric] = &[Metric::counter(
    "tokens_refused_total",
    &[("fault", &[])],
    "Access tokens refused, by what is wrong with them.",
)];

/// A state of handlers that can check tokens.
pub trait Authority: Send + Sync + 'static {
    /// What checks them.
    fn verifier(&self) -> &Verifier;
}

/// The user whose token the request brought.
#[derive(Debug, Clone)]
pub struct Bearer(pub Identity);

impl<A: Authority> FromRequestParts<Arc<A>> for Bearer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<A>) -> Result<Self, Refusal> {
        let token = token(&parts.headers)?;
        state.verifier().verify(token).await.map(Self).map_err(refused)
    }
}

fn refused(error: VerifyError) -> Refusal {
    match error {
        VerifyError::Refused(fault) => {
            tracing::info!(%fault, "a token was refused");
            metrics::counter!("tokens_refused_total", "fault" => fault.word()).increment(1);
            Refusal::InvalidToken
        }
        VerifyError::NoKeys(_) => Problem::new(Kind::Unavailable)
            .detail("Tokens cannot be checked now. Try again after the time in Retry-After.")
            .into(),
    }
}

fn token(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let only = match (all.next(), all.next()) {
        (None, _) => return Err(Refusal::NoToken),
        (Some(only), None) => only,
        (Some(_), Some(_)) => return Err(Refusal::InvalidToken),
    };
    let (scheme, token) =
        only.to_str().ok().and_then(|value| value.split_once(' ')).ok_or(Refusal::InvalidToken)?;
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(Refusal::NoToken);
    }
    Ok(token)
}

#[cfg(test)]
mod tests;
