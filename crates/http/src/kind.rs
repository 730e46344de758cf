//! The kinds of problems a client can meet.
//!
//! The `type` of a problem is the relative URI `/problems/<slug>`; a GET of it
//! on any service answers what it means (RFC 9457, section 3.1.1: a type should
//! lead to its documentation). Slugs and titles never change: clients match on
//! them.

use axum::http::StatusCode;

/// A kind of problem: its type, title, status and default words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 400: the body is not JSON.
    MalformedJson,
    /// 404: nothing is here.
    NotFound,
    /// 405: the resource does not know the method.
    MethodNotAllowed,
    /// 409: another account has the e-mail address.
    EmailTaken,
    /// 413: the body is larger than the limit.
    TooLarge,
    /// 415: the body is not declared as JSON.
    UnsupportedMediaType,
    /// 422: the body is JSON, but what it says is not acceptable.
    ValidationFailed,
    /// 500: a defect on our side.
    Internal,
    /// 503: something we depend on is away.
    Unavailable,
    /// 503: more work waits than can be done soon.
    Overloaded,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::MalformedJson,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::EmailTaken,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::ValidationFailed,
        Self::Internal,
        Self::Unavailable,
        Self::Overloaded,
    ];

    /// The last part of the type URI.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::MalformedJson => "malformed-json",
            Self::NotFound => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::EmailTaken => "email-taken",
            Self::TooLarge => "too-large",
            Self::UnsupportedMediaType => "unsupported-media-type",
            Self::ValidationFailed => "validation-failed",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::Overloaded => "overloaded",
        }
    }

    /// The title, the same for every occurrence.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::MalformedJson => "The body is not JSON",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::EmailTaken => "The e-mail address is taken",
            Self::TooLarge => "The body is too large",
            Self::UnsupportedMediaType => "Unsupported media type",
            Self::ValidationFailed => "Validation failed",
            Self::Internal => "Internal error",
            Self::Unavailable => "Temporarily unavailable",
            Self::Overloaded => "Overloaded",
        }
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::MalformedJson => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::EmailTaken => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::ValidationFailed => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What helps the client, unless the occurrence says more.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::MalformedJson => "Send one JSON object, encoded as UTF-8.",
            Self::NotFound => "Nothing is here.",
            Self::MethodNotAllowed => "The Allow header lists the methods.",
            Self::EmailTaken => "An account with this e-mail address exists.",
            Self::TooLarge => "Send a smaller body.",
            Self::UnsupportedMediaType => "Send the body as application/json.",
            Self::ValidationFailed => "Correct the fields listed in errors and send it again.",
            Self::Internal => "Something went wrong on our side. It has been recorded.",
            Self::Unavailable => {
                "A server we depend on is away. Try again after the time in Retry-After."
            }
            Self::Overloaded => "Too much waits already. Try again after the time in Retry-After.",
        }
    }

    /// Seconds after which a repeat makes sense.
    #[must_use]
    pub const fn retry_after_s(self) -> Option<u32> {
        match self {
            Self::Unavailable => Some(5),
            Self::Overloaded => Some(2),
            Self::MalformedJson
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::EmailTaken
            | Self::TooLarge
            | Self::UnsupportedMediaType
            | Self::ValidationFailed
            | Self::Internal => None,
        }
    }

    /// The kind with this slug.
    #[must_use]
    pub fn find(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.slug() == slug)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_slug() {
        for kind in Kind::ALL {
            assert_eq!(Kind::find(kind.slug()), Some(kind));
        }
        assert_eq!(Kind::find("about:blank"), None);
    }

    #[test]
    fn every_503_says_when_to_come_back() {
        for kind in Kind::ALL {
            let unavailable = kind.status() == StatusCode::SERVICE_UNAVAILABLE;
            assert_eq!(kind.retry_after_s().is_some(), unavailable, "{kind:?}");
        }
    }
}
