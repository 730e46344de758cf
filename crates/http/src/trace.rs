//! The trace a request belongs to (W3C Trace Context).
//!
//! At the side to the Internet a request begins a trace of its own: a stranger who could choose
//! the trace id could join other people's requests, and one who could choose its flags could
//! switch our spans off. What the stranger sent is kept as a link. `TRACEPARENT_FROM` says whose
//! trace is continued instead. `tracestate` and `baggage` are never read.

use std::net::IpAddr;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use onboard_contract::TraceParent;
use onboard_runtime::{Environment, Problems, clock, trace as spans};
use tracing::Span;

use crate::network::Networks;

const SETTING: &str = "TRACEPARENT_FROM";

/// Whose `traceparent` is adopted; that of everyone else is linked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Adopted {
    #[default]
    Nobody,
    TrustedProxies,
    Everybody,
}

impl FromStr for Adopted {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "nobody" => Ok(Self::Nobody),
            "trusted-proxies" => Ok(Self::TrustedProxies),
            "everybody" => Ok(Self::Everybody),
            _ => Err("must be nobody, trusted-proxies or everybody"),
        }
    }
}

impl Adopted {
    /// Checks the setting: locally a test or a person may follow a trace of their own.
    pub(crate) fn check(
        text: Option<&str>,
        environment: Environment,
        proxies: &Networks,
        problems: &mut Problems,
    ) -> Self {
        let usual = match environment {
            Environment::Production => Self::Nobody,
            Environment::Local => Self::Everybody,
        };
        let adopted = problems.parse_or(SETTING, text, usual);
        if adopted == Self::Everybody && environment.is_production() {
            let why = "everybody is refused in production: anyone could join others' traces";
            problems.push(SETTING, why);
        }
        if adopted == Self::TrustedProxies && *proxies == Networks::default() {
            problems.warn(SETTING, "TRUSTED_PROXIES names none, so nobody's is adopted");
        }
        adopted
    }
}

/// The setting and the proxies it may mean.
#[derive(Debug, Clone, Default)]
pub(crate) struct TraceContext {
    pub(crate) adopted: Adopted,
    pub(crate) proxies: Networks,
}

impl TraceContext {
    /// Makes the span of a request begin a trace, with a link to what the caller sent, or
    /// continue the caller's.
    pub(crate) fn place(
        &self,
        span: &Span,
        peer: Option<IpAddr>,
        headers: &HeaderMap,
    ) -> RequestTrace {
        let sent = incoming(headers);
        let parent = sent.as_ref().filter(|_| self.adopts(peer));
        match (parent, &sent) {
            (Some(parent), _) => spans::continues(span, Some(parent)),
            (None, Some(linked)) => spans::links(span, linked),
            (None, None) => (),
        }
        let own = spans::of(span).or_else(|| parent.cloned());
        own.map_or_else(RequestTrace::fresh, RequestTrace)
    }

    fn adopts(&self, peer: Option<IpAddr>) -> bool {
        match self.adopted {
            Adopted::Nobody => false,
            Adopted::TrustedProxies => peer.is_some_and(|peer| self.proxies.contains(peer)),
            Adopted::Everybody => true,
        }
    }
}

/// The request's place in its trace: the span of the server. The server sets it; handlers
/// take it as an argument.
#[derive(Debug, Clone)]
pub struct RequestTrace(pub TraceParent);

impl RequestTrace {
    fn fresh() -> Self {
        let span = clock::random_id().as_u128() & u128::from(u64::MAX);
        let span = u64::try_from(span).unwrap_or(1);
        Self(TraceParent::from_random(clock::random_id().as_u128(), span))
    }

    /// What a client may follow: the trace that its request became.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(self.0.as_str()).ok()
    }
}

/// What the caller sent, when it is one and valid; else it is as if nothing was
/// sent (W3C Trace Context, section 3.2.2).
fn incoming(headers: &HeaderMap) -> Option<TraceParent> {
    let mut values = headers.get_all("traceparent").iter();
    let only = values.next().filter(|_| values.next().is_none())?;
    TraceParent::parse(only.to_str().ok()?).ok()
}

impl<S: Sync> FromRequestParts<S> for RequestTrace {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(Self::fresh))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const PROXY: &str = "10.1.2.3";
    const STRANGER: &str = "192.0.2.1";

    fn headers(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|v| ("traceparent".parse().unwrap(), v.parse().unwrap())).collect()
    }

    fn placed(adopted: Adopted, peer: &str, values: &[&'static str]) -> String {
        let context = TraceContext { adopted, proxies: "10.0.0.0/8".parse().unwrap() };
        let peer = Some(peer.parse().unwrap());
        context.place(&Span::none(), peer, &headers(values)).0.as_str().to_owned()
    }

    #[test]
    fn a_valid_trace_is_adopted_from_whom_the_setting_says_and_replaced_otherwise() {
        use Adopted::{Everybody, Nobody, TrustedProxies};
        for (adopted, peer) in [(Everybody, STRANGER), (TrustedProxies, PROXY)] {
            assert_eq!(placed(adopted, peer, &[VALID]), VALID, "{adopted:?} {peer}");
        }
        for (adopted, peer) in [(Nobody, PROXY), (Nobody, STRANGER), (TrustedProxies, STRANGER)] {
            let (one, two) = (placed(adopted, peer, &[VALID]), placed(adopted, peer, &[VALID]));
            assert_ne!(one[3..35], VALID[3..35], "{adopted:?} {peer}");
            assert_ne!(one[3..35], two[3..35], "{adopted:?} {peer}");
        }
        for bad in [&[][..], &["junk"], &[VALID, VALID]] {
            let (one, two) = (placed(Everybody, PROXY, bad), placed(Everybody, PROXY, bad));
            assert_ne!(one, VALID);
            assert_ne!(one, two);
        }
    }

    #[test]
    fn nobody_is_adopted_in_production_and_everybody_locally_unless_it_is_said() {
        use Environment::{Local, Production};
        let check = |text: Option<&str>, environment, proxies: &str| {
            let mut problems = Problems::default();
            let proxies = proxies.parse().unwrap();
            let adopted = Adopted::check(text, environment, &proxies, &mut problems);
            let warnings = problems.take_warnings().len();
            problems.finish(Some((adopted, warnings))).map_err(|error| error.to_string())
        };
        assert_eq!(check(None, Production, ""), Ok((Adopted::Nobody, 0)));
        assert_eq!(check(None, Local, ""), Ok((Adopted::Everybody, 0)));
        assert_eq!(check(Some("nobody"), Local, ""), Ok((Adopted::Nobody, 0)));
        let proxies = check(Some("trusted-proxies"), Production, "10.0.0.0/8");
        assert_eq!(proxies, Ok((Adopted::TrustedProxies, 0)));
        let none = check(Some("trusted-proxies"), Production, "");
        assert_eq!(none, Ok((Adopted::TrustedProxies, 1)), "a warning");
        for wrong in ["everybody", "adopt", ""] {
            let said = check(Some(wrong), Production, "").unwrap_err();
            assert!(said.contains("TRACEPARENT_FROM"), "{said}");
        }
    }
}
