//! Problem details (RFC 9457), the body of every answer that is an error.
//!
//! A problem carries only words written for clients: there is no conversion
//! from any error type, so nothing internal can leave by accident. The server
//! adds `instance` (the path) and `traceId` when the answer passes it.

use std::borrow::Cow;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Kind;
use crate::limit::Standing;

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What is wrong with one field of the body, or one parameter of the query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// What is wrong, for people. Never repeats the value.
    #[schema(value_type = String)]
    pub detail: Cow<'static, str>,
    /// Where in the body: a JSON pointer as a URI fragment, `#/email` or `#`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub pointer: Option<String>,
    /// Which parameter of the query, when it is not the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub parameter: Option<&'static str>,
}

impl FieldError {
    /// About a place in the body.
    #[must_use]
    pub fn at(pointer: impl Into<String>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { detail: detail.into(), pointer: Some(pointer.into()), parameter: None }
    }

    /// About a parameter of the query.
    #[must_use]
    pub fn parameter(name: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { detail: detail.into(), pointer: None, parameter: Some(name) }
    }
}

/// An answer that says what went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    kind: Kind,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after_s: Option<u32>,
    standing: Option<Standing>,
}

impl Problem {
    /// A problem with the default words of its kind.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self {
            kind,
            detail: Cow::Borrowed(kind.detail()),
            errors: Vec::new(),
            retry_after_s: kind.retry_after_s(),
            standing: None,
        }
    }

    /// 429: this limit is used up. Counted here, under the policy's name.
    #[must_use]
    pub fn rate_limited(standing: Standing) -> Self {
        metrics::counter!("rate_limited_total", "policy" => standing.policy()).increment(1);
        let problem = Self::new(Kind::RateLimited).retry_after_s(standing.retry_after_s());
        Self { standing: Some(standing), ..problem }
    }

    /// 422 that lists what is wrong with which field.
    #[must_use]
    pub fn validation(errors: Vec<FieldError>) -> Self {
        Self { errors, ..Self::new(Kind::ValidationFailed) }
    }

    /// The value, unless something was found wrong on the way to it.
    pub(crate) fn unless_valid<T>(value: Option<T>, errors: Vec<FieldError>) -> Result<T, Self> {
        match value {
            Some(value) if errors.is_empty() => Ok(value),
            Some(_) | None => Err(Self::validation(errors)),
        }
    }

    /// Says it in other words than the kind's own. They go to the client.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Says when to try again, in seconds.
    #[must_use]
    pub const fn retry_after_s(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// What is wrong with which field.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// The body, for one occurrence.
    pub(crate) fn to_json(&self, occurrence: Occurrence<'_>) -> Vec<u8> {
        let body = ProblemBody {
            r#type: format!("/problems/{}", self.kind.slug()),
            title: self.kind.title(),
            status: self.kind.status().as_u16(),
            detail: &self.detail,
            instance: occurrence.path,
            trace_id: occurrence.trace_id,
            errors: &self.errors,
        };
        // Strings and numbers only: serialising them cannot fail.
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

/// The request a problem belongs to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Occurrence<'a> {
    pub(crate) path: Option<&'a str>,
    pub(crate) trace_id: Option<&'a str>,
}

/// A problem as it is sent (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
#[serde(rename_all = "camelCase")]
pub struct ProblemBody<'a> {
    /// `/problems/<slug>`: what kind of problem it is, and where that is
    /// explained.
    r#type: String,
    /// The same for every problem of the kind.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What helps the client.
    detail: &'a str,
    /// The path of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    /// The trace of the request, to be found in the logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    /// What is wrong with which field; only where the request was not valid.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    errors: &'a [FieldError],
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = self.to_json(Occurrence::default());
        let mut response = (self.kind.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(standing) = self.standing {
            standing.add_to(headers);
        }
        // The server writes the body again when it knows the request.
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(problem: &Problem) -> serde_json::Value {
        let occurrence = Occurrence { path: Some("/here"), trace_id: Some("4bf9") };
        serde_json::from_slice(&problem.to_json(occurrence)).unwrap()
    }

    #[test]
    fn a_validation_problem_points_at_the_fields() {
        let error = FieldError::at("#/email", "is missing");
        insta::assert_json_snapshot!(json(&Problem::validation(vec![error])), @r##"
        {
          "detail": "Correct the fields listed in errors and send it again.",
          "errors": [
            {
              "detail": "is missing",
              "pointer": "#/email"
            }
          ],
          "instance": "/here",
          "status": 422,
          "title": "Validation failed",
          "traceId": "4bf9",
          "type": "/problems/validation-failed"
        }
        "##);
    }

    #[test]
    fn a_problem_without_fields_lists_none() {
        insta::assert_json_snapshot!(json(&Problem::new(Kind::Unavailable)), @r#"
        {
          "detail": "A server we depend on is unavailable. Try again after the time in Retry-After.",
          "instance": "/here",
          "status": 503,
          "title": "Temporarily unavailable",
          "traceId": "4bf9",
          "type": "/problems/unavailable"
        }
        "#);
    }

    #[test]
    fn retry_after_is_a_header() {
        let response = Problem::new(Kind::Overloaded).retry_after_s(7).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "7");
        assert_eq!(response.headers()[header::CONTENT_TYPE], MEDIA_TYPE);
    }
}
