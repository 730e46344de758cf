//! Which pages in browsers may use the API (the Fetch standard's CORS).
//!
//! None, unless told otherwise. Credentials are never allowed: the API knows
//! no cookie but that of a device (which a page of another origin does not get), and a page
//! sends its token itself.

use std::str::FromStr;
use std::time::Duration;

use crate::observe::TRACERESPONSE;
use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser may remember the answer to a preflight.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_mins(10);
const METHODS: [Method; 5] =
    [Method::GET, Method::HEAD, Method::POST, Method::PATCH, Method::DELETE];

/// The origins whose pages may use the API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Origins {
    /// No other origin: no header of CORS is sent.
    #[default]
    None,
    /// `*`: any page of the web.
    Any,
    /// These.
    These(Vec<HeaderValue>),
}

/// A text is not a list of origins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Not of the form that browsers send.
    #[error("{0:?} is no origin; write for example https://app.example.com, without a path")]
    Form(String),
    /// `*` beside others.
    #[error("* allows every origin; it stands alone")]
    AnyBesideOthers,
}

impl FromStr for Origins {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let parts: Vec<&str> =
            text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        match parts.as_slice() {
            [] => Ok(Self::None),
            ["*"] => Ok(Self::Any),
            parts if parts.contains(&"*") => Err(OriginError::AnyBesideOthers),
            parts => {
                parts.iter().map(|part| origin(part)).collect::<Result<_, _>>().map(Self::These)
            }
        }
    }
}

/// As browsers write it: lower case, no path, not even a slash.
fn origin(text: &str) -> Result<HeaderValue, OriginError> {
    let form = || OriginError::Form(text.to_owned());
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-:[]".contains(&b);
    match host {
        Some(host) if !host.is_empty() && host.bytes().all(plain) => {
            HeaderValue::from_str(text).map_err(|_| form())
        }
        Some(_) | None => Err(form()),
    }
}

impl Origins {
    /// Answers preflights and adds the headers.
    pub(crate) fn around(self, router: Router) -> Router {
        let allowed = match self {
            Self::None => return router,
            Self::Any => AllowOrigin::any(),
            Self::These(origins) => AllowOrigin::list(origins),
        };
        let asked = [
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("last-event-id"),
            HeaderName::from_static("traceparent"),
        ];
        let answered = [
            header::ETAG,
            header::LOCATION,
            header::RETRY_AFTER,
            header::WWW_AUTHENTICATE,
            HeaderName::from_static("ratelimit"),
            HeaderName::from_static("ratelimit-policy"),
            TRACERESPONSE,
        ];
        router.layer(
            CorsLayer::new()
                .allow_origin(allowed)
                .allow_methods(METHODS)
                .allow_headers(asked)
                .expose_headers(answered)
                .max_age(PREFLIGHT_MAX_AGE),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::extract::Request;
    use axum::response::Response;
    use axum::routing::get;
    use tower::ServiceExt;

    const APP: &str = "https://app.example.com";

    #[test]
    fn origins_are_written_as_browsers_send_them() {
        let these = |list: &[&str]| {
            Ok(Origins::These(list.iter().map(|o| HeaderValue::from_str(o).unwrap()).collect()))
        };
        assert_eq!("".parse(), Ok(Origins::None));
        assert_eq!("*".parse(), Ok(Origins::Any));
        assert_eq!(
            "https://app.example.com, http://localhost:3000,http://[::1]:8080".parse(),
            these(&[APP, "http://localhost:3000", "http://[::1]:8080"])
        );
        assert_eq!("https://a.example,*".parse::<Origins>(), Err(OriginError::AnyBesideOthers));
        for junk in [
            "app.example.com",
            "https://app.example.com/",
            "https://App.example.com",
            "https://",
            "https://*.example.com",
            "null",
            "ftp://a.example",
            "https://user@a.example",
        ] {
            assert_eq!(junk.parse::<Origins>(), Err(OriginError::Form(junk.into())), "{junk}");
        }
    }

    async fn ask(origins: &str, method: &str, origin: &str) -> Response {
        let router = Router::new().route("/", get(async || "hello"));
        let request = Request::builder()
            .method(method)
            .header("origin", origin)
            .header("access-control-request-method", "PATCH")
            .header("access-control-request-headers", "authorization,if-match")
            .body(Body::empty());
        let router = origins.parse::<Origins>().unwrap().around(router);
        router.oneshot(request.unwrap()).await.unwrap()
    }

    fn said<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
        response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    #[tokio::test]
    async fn without_origins_there_is_no_header_of_cors() {
        for method in ["GET", "OPTIONS"] {
            let response = ask("", method, APP).await;
            let names = response.headers().keys().map(HeaderName::as_str);
            assert_eq!(names.filter(|name| name.starts_with("access-control")).count(), 0);
        }
    }

    #[tokio::test]
    async fn a_listed_origin_is_allowed_and_no_other() {
        const ALLOW: &str = "access-control-allow-origin";
        let preflight = ask(APP, "OPTIONS", APP).await;
        assert_eq!(said(&preflight, ALLOW), Some(APP));
        assert_eq!(said(&preflight, "access-control-max-age"), Some("600"));
        assert!(said(&preflight, "access-control-allow-methods").unwrap().contains("PATCH"));
        assert!(said(&preflight, "access-control-allow-headers").unwrap().contains("if-match"));
        let answer = ask(APP, "GET", APP).await;
        assert_eq!(said(&answer, ALLOW), Some(APP));
        assert!(said(&answer, "vary").unwrap().contains("origin"));
        assert!(said(&answer, "access-control-expose-headers").unwrap().contains("retry-after"));
        for other in ["https://evil.example", "https://app.example.com.evil.example", "null"] {
            assert_eq!(said(&ask(APP, "GET", other).await, ALLOW), None, "{other}");
        }
        assert_eq!(said(&ask("*", "GET", "https://evil.example").await, ALLOW), Some("*"));
    }

    #[tokio::test]
    async fn credentials_are_never_allowed() {
        for origins in [APP, "*"] {
            for method in ["GET", "OPTIONS"] {
                let response = ask(origins, method, APP).await;
                assert_eq!(said(&response, "access-control-allow-credentials"), None);
            }
        }
    }
}
