//! What the parser lets pass and RFC 9112 does not: a request of HTTP/1.1 names
//! its host exactly once (section 3.2), and its body is chunked at most once
//! (section 6.1). Where two parties read a head differently, a client can smuggle a
//! request past one of them.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::{Kind, Problem};

/// Refuses what is ambiguous, and the rest of its connection.
pub(crate) async fn check(request: Request, next: Next) -> Response {
    let Some(detail) = ambiguity(request.version(), request.headers()) else {
        return next.run(request).await;
    };
    let mut refused = Problem::new(Kind::MalformedRequest).detail(detail).into_response();
    refused.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    refused
}

fn ambiguity(version: Version, headers: &HeaderMap) -> Option<&'static str> {
    let hosts = headers.get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && version == Version::HTTP_11) {
        return Some("Send exactly one Host header.");
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    if codings.next().is_some_and(|coding| !chunked(coding)) || codings.next().is_some() {
        return Some("Send the body chunked once, and coded in no other way.");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_and_one_coding_are_enough() {
        let judge = |version, lines: &[(&'static str, &'static str)]| {
            let lines = lines.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()));
            ambiguity(version, &lines.collect()).is_none()
        };
        let (host, chunked) = (("host", "x"), ("transfer-encoding", "Chunked"));
        assert!(judge(Version::HTTP_11, &[host]));
        assert!(judge(Version::HTTP_11, &[host, chunked]));
        assert!(judge(Version::HTTP_10, &[]));
        assert!(!judge(Version::HTTP_11, &[]));
        assert!(!judge(Version::HTTP_11, &[host, host]));
        assert!(!judge(Version::HTTP_10, &[host, host]));
        assert!(!judge(Version::HTTP_11, &[host, chunked, chunked]));
        for coding in ["gzip, chunked", "chunked, chunked", "identity"] {
            assert!(!judge(Version::HTTP_11, &[host, ("transfer-encoding", coding)]), "{coding}");
        }
    }
}
