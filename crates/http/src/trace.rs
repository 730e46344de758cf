//! The trace a request belongs to (W3C Trace Context).

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use onboard_contract::TraceParent;
use onboard_runtime::clock;

/// The request's place in its trace: the span of the server, in the trace of the
/// caller who sent one valid `traceparent`, else in a fresh one. The server sets
/// it; handlers take it as an argument.
#[derive(Debug, Clone)]
pub struct RequestTrace(pub TraceParent);

impl RequestTrace {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self(incoming(headers).unwrap_or_else(fresh))
    }
}

/// What the caller sent, when it is one and valid; else it is as if nothing was
/// sent (W3C Trace Context, section 3.2.2).
pub(crate) fn incoming(headers: &HeaderMap) -> Option<TraceParent> {
    let mut values = headers.get_all("traceparent").iter();
    let only = values.next().filter(|_| values.next().is_none())?;
    TraceParent::parse(only.to_str().ok()?).ok()
}

fn fresh() -> TraceParent {
    let span = clock::random_id().as_u128() & u128::from(u64::MAX);
    TraceParent::from_random(clock::random_id().as_u128(), u64::try_from(span).unwrap_or(1))
}

impl<S: Sync> FromRequestParts<S> for RequestTrace {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let set = parts.extensions.get::<Self>().cloned();
        Ok(set.unwrap_or_else(|| Self::of(&parts.headers)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|v| ("traceparent".parse().unwrap(), v.parse().unwrap())).collect()
    }

    #[test]
    fn a_valid_trace_is_kept_and_anything_else_is_replaced() {
        assert_eq!(RequestTrace::of(&headers(&[VALID])).0.as_str(), VALID);
        for bad in [&[][..], &["junk"], &[VALID, VALID]] {
            let (one, two) = (RequestTrace::of(&headers(bad)), RequestTrace::of(&headers(bad)));
            assert_ne!(one.0.as_str(), VALID);
            assert_ne!(one.0, two.0);
        }
    }
}
