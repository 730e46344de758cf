//! The body of a request: one JSON object of bounded size.
//!
//! Each way a body can be wrong has its own status, checked in this order: not
//! declared as JSON 415, too large 413, not JSON 400, not an object 422. Members that
//! the handler does not ask for are skipped unread ([`crate::Fields`]).

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;
use onboard_json::{Object, ObjectError};

use crate::{FieldError, Kind, Problem};

/// The largest body, unless the handler asks for another limit, in bytes.
pub const BYTES_MAX: usize = 16 * 1024;
const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";
/// How much of a refused body is read and thrown away, in bytes, and for how
/// long at most.
const DISCARD_BYTES_MAX: usize = 16 * 1024 * 1024;
const DISCARD_MAX: Duration = Duration::from_secs(2);

/// A JSON object of at most `MAX` bytes.
#[derive(Clone)]
pub struct JsonObject<const MAX: usize = BYTES_MAX>(pub Object);

impl<S: Sync, const MAX: usize> FromRequest<S> for JsonObject<MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        object(request, MAX, &[JSON]).await.map(Self)
    }
}

/// A JSON merge patch (RFC 7396) of at most `MAX` bytes: as [`JsonObject`], and
/// `application/merge-patch+json` is as good.
#[derive(Clone)]
pub struct MergePatch<const MAX: usize = BYTES_MAX>(pub Object);

impl<S: Sync, const MAX: usize> FromRequest<S> for MergePatch<MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        object(request, MAX, &[JSON, MERGE_PATCH]).await.map(Self)
    }
}

async fn object(request: Request, max: usize, media_types: &[&str]) -> Result<Object, Problem> {
    let (parts, body) = request.into_parts();
    let mut incoming = Incoming { body, expects: parts.headers.contains_key(header::EXPECT) };
    if let Err(problem) = check_head(&parts.headers, max, media_types) {
        incoming.discard().await;
        return Err(problem);
    }
    parse(&incoming.read(max).await?)
}

/// Bodies hold passwords: never print one.
impl<const MAX: usize> std::fmt::Debug for JsonObject<MAX> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JsonObject(..)")
    }
}

impl<const MAX: usize> std::fmt::Debug for MergePatch<MAX> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MergePatch(..)")
    }
}

fn check_media_type(headers: &HeaderMap, accepted: &[&str]) -> Result<(), Problem> {
    let plain = match headers.get(header::CONTENT_ENCODING) {
        None => true,
        Some(encoding) => encoding.as_bytes().eq_ignore_ascii_case(b"identity"),
    };
    if !plain {
        return Err(Problem::new(Kind::UnsupportedMediaType).detail("Send the body uncompressed."));
    }
    let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = declared.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    if accepted.iter().any(|media_type| essence.eq_ignore_ascii_case(media_type)) {
        return Ok(());
    }
    let detail = format!("Send the body as {}.", accepted.join(" or "));
    Err(Problem::new(Kind::UnsupportedMediaType).detail(detail))
}

fn check_head(headers: &HeaderMap, max: usize, accepted: &[&str]) -> Result<(), Problem> {
    check_media_type(headers, accepted)?;
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    match declared.and_then(|length| length.parse::<usize>().ok()) {
        Some(length) if length > max => Err(too_large(max)),
        Some(_) | None => Ok(()),
    }
}

/// A body on its way in.
struct Incoming {
    body: Body,
    /// The client waits for "100 Continue" and has sent nothing yet.
    expects: bool,
}

impl Incoming {
    async fn read(mut self, max: usize) -> Result<Vec<u8>, Problem> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if bytes.len() + chunk.len() > max {
                self.expects = false;
                self.discard().await;
                return Err(too_large(max));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Reads what a refused client is still sending and throws it away, within
    /// bounds: closing the connection at once could cost it the answer.
    async fn discard(&mut self) {
        if self.expects {
            return;
        }
        let mut left = DISCARD_BYTES_MAX;
        let reading = async {
            while let Ok(Some(chunk)) = self.chunk().await {
                left = left.saturating_sub(chunk.len());
                if left == 0 {
                    return;
                }
            }
        };
        // Out of time is as good as out of bytes.
        tokio::time::timeout(DISCARD_MAX, reading).await.ok();
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, Problem> {
        match self.body.frame().await {
            None => Ok(None),
            Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
            Some(Err(_)) => {
                Err(Problem::new(Kind::MalformedJson).detail("The body did not arrive whole."))
            }
        }
    }
}

fn too_large(max: usize) -> Problem {
    Problem::new(Kind::TooLarge).detail(format!("The body may have at most {max} bytes."))
}

fn parse(bytes: &[u8]) -> Result<Object, Problem> {
    match Object::parse(bytes) {
        Ok(object) => Ok(object),
        Err(ObjectError::NotAnObject) => {
            Err(Problem::validation(vec![FieldError::at("#", "must be a JSON object")]))
        }
        // The position helps; the parser's own words could repeat the body.
        Err(ObjectError::NotJson(error)) => Err(Problem::new(Kind::MalformedJson).detail(format!(
            "The body is not JSON: see line {}, column {}.",
            error.line(),
            error.column()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Occurrence;
    use serde_json::Value;

    type Case<'a> = (Option<&'a str>, &'a [u8], Result<(), Kind>);

    async fn kind(content_type: Option<&str>, body: impl Into<Body>) -> Result<(), Kind> {
        let mut request = Request::builder().method("POST");
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let request = request.body(body.into()).unwrap();
        let read = JsonObject::<64>::from_request(request, &()).await;
        read.map(|_| ()).map_err(|problem| problem.kind())
    }

    #[tokio::test]
    async fn every_failure_has_its_kind() {
        let json = Some("application/json");
        let deep = "[".repeat(63);
        let table: &[Case<'_>] = &[
            (json, b"{}", Ok(())),
            (Some("Application/JSON ; charset=utf-8"), b" {\"a\":1} ", Ok(())),
            (None, b"{}", Err(Kind::UnsupportedMediaType)),
            (Some("text/plain"), b"{}", Err(Kind::UnsupportedMediaType)),
            (Some("application/jsonx"), b"{}", Err(Kind::UnsupportedMediaType)),
            (Some("application/merge-patch+json"), b"{}", Err(Kind::UnsupportedMediaType)),
            (json, b"", Err(Kind::MalformedJson)),
            (json, b"{", Err(Kind::MalformedJson)),
            (json, b"{} {}", Err(Kind::MalformedJson)),
            (json, b"{\"a\":\"\xff\"}", Err(Kind::MalformedJson)),
            (json, b"\xef\xbb\xbf{}", Err(Kind::MalformedJson)),
            (json, deep.as_bytes(), Err(Kind::MalformedJson)),
            (json, b"null", Err(Kind::ValidationFailed)),
            (json, b"[{}]", Err(Kind::ValidationFailed)),
            (json, b"\"text\"", Err(Kind::ValidationFailed)),
            (json, &[b' '; 65], Err(Kind::TooLarge)),
        ];
        for (content_type, body, expected) in table {
            let found = kind(*content_type, body.to_vec()).await;
            assert_eq!(found, *expected, "{content_type:?} {}", String::from_utf8_lossy(body));
        }
    }

    #[tokio::test]
    async fn a_patch_may_be_declared_as_a_merge_patch() {
        let read = async |content_type: &str| {
            let request = Request::builder()
                .header(header::CONTENT_TYPE, content_type)
                .body(Body::from("{}"))
                .unwrap();
            MergePatch::<64>::from_request(request, &()).await.map_err(|problem| problem.kind())
        };
        for declared in ["application/json", "application/merge-patch+json; charset=utf-8"] {
            assert!(read(declared).await.is_ok(), "{declared}");
        }
        for declared in ["application/json-patch+json", "text/plain", ""] {
            let refused = read(declared).await.map(drop);
            assert_eq!(refused, Err(Kind::UnsupportedMediaType), "{declared}");
        }
    }

    #[tokio::test]
    async fn a_compressed_body_is_refused() {
        let request = Request::builder()
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_ENCODING, "gzip")
            .body(Body::from("{}"))
            .unwrap();
        let problem = JsonObject::<64>::from_request(request, &()).await.unwrap_err();
        assert_eq!(problem.kind(), Kind::UnsupportedMediaType);
    }

    #[test]
    fn the_answer_does_not_repeat_the_body() {
        let problem = parse(b"{\"password\": hunter2}").unwrap_err();
        let words =
            serde_json::from_slice::<Value>(&problem.to_json(Occurrence::default())).unwrap();
        assert!(!words.to_string().contains("hunter2"), "{words}");
        assert!(words.to_string().contains("line 1, column 14"), "{words}");
    }
}
