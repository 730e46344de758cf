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
    /// 400: the head of the request is not as HTTP wants it.
    MalformedRequest,
    /// 400: the body is not JSON.
    MalformedJson,
    /// 400: the Idempotency-Key header cannot be read.
    IdempotencyKeyMalformed,
    /// 401: address and password do not belong together.
    InvalidCredentials,
    /// 401: the token is missing, expired, revoked or not one of ours.
    InvalidToken,
    /// 403: the account has not the role that is needed.
    Forbidden,
    /// 404: nothing is here.
    NotFound,
    /// 405: the resource does not know the method.
    MethodNotAllowed,
    /// 409: another account has the e-mail address.
    EmailTaken,
    /// 409: a request with the same Idempotency-Key is being worked on.
    IdempotencyKeyInFlight,
    /// 409: the account has as many of these as it may have.
    QuotaReached,
    /// 412: the resource is not in the version that If-Match names.
    PreconditionFailed,
    /// 413: the body is larger than the limit.
    TooLarge,
    /// 415: the body is not declared as JSON.
    UnsupportedMediaType,
    /// 422: the body is JSON, but what it says is not acceptable.
    ValidationFailed,
    /// 422: the Idempotency-Key belongs to a request with another body.
    IdempotencyKeyReused,
    /// 429: more requests than the limit allows.
    RateLimited,
    /// 500: a defect on our side.
    Internal,
    /// 503: something we depend on is unavailable.
    Unavailable,
    /// 503: more work waits than can be done soon.
    Overloaded,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 20] = [
        Self::MalformedRequest,
        Self::MalformedJson,
        Self::IdempotencyKeyMalformed,
        Self::InvalidCredentials,
        Self::InvalidToken,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::EmailTaken,
        Self::IdempotencyKeyInFlight,
        Self::QuotaReached,
        Self::PreconditionFailed,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::ValidationFailed,
        Self::IdempotencyKeyReused,
        Self::RateLimited,
        Self::Internal,
        Self::Unavailable,
        Self::Overloaded,
    ];

    /// The last part of the type URI.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::MalformedRequest => "malformed-request",
            Self::MalformedJson => "malformed-json",
            Self::IdempotencyKeyMalformed => "idempotency-key-malformed",
            Self::InvalidCredentials => "invalid-credentials",
            Self::InvalidToken => "invalid-token",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::EmailTaken => "email-taken",
            Self::IdempotencyKeyInFlight => "idempotency-key-in-flight",
            Self::QuotaReached => "quota-reached",
            Self::PreconditionFailed => "precondition-failed",
            Self::TooLarge => "too-large",
            Self::UnsupportedMediaType => "unsupported-media-type",
            Self::ValidationFailed => "validation-failed",
            Self::IdempotencyKeyReused => "idempotency-key-reused",
            Self::RateLimited => "rate-limited",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::Overloaded => "overloaded",
        }
    }

    /// The title, the same for every occurrence.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::MalformedRequest => "The request is malformed",
            Self::MalformedJson => "The body is not JSON",
            Self::IdempotencyKeyMalformed => "The idempotency key is malformed",
            Self::InvalidCredentials => "Invalid credentials",
            Self::InvalidToken => "Invalid token",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::EmailTaken => "The e-mail address is taken",
            Self::IdempotencyKeyInFlight => "A request with this idempotency key is in flight",
            Self::QuotaReached => "No more of these for this account",
            Self::PreconditionFailed => "Precondition failed",
            Self::TooLarge => "The body is too large",
            Self::UnsupportedMediaType => "Unsupported media type",
            Self::ValidationFailed => "Validation failed",
            Self::IdempotencyKeyReused => "The idempotency key was used for another request",
            Self::RateLimited => "Too many requests",
            Self::Internal => "Internal error",
            Self::Unavailable => "Temporarily unavailable",
            Self::Overloaded => "Overloaded",
        }
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::MalformedRequest | Self::MalformedJson | Self::IdempotencyKeyMalformed => {
                StatusCode::BAD_REQUEST
            }
            Self::InvalidCredentials | Self::InvalidToken => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::EmailTaken | Self::IdempotencyKeyInFlight | Self::QuotaReached => {
                StatusCode::CONFLICT
            }
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::ValidationFailed | Self::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What helps the client, unless the occurrence says more.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::MalformedRequest => "Send the request as RFC 9112 describes it.",
            Self::MalformedJson => "Send one JSON object, encoded as UTF-8.",
            Self::IdempotencyKeyMalformed => {
                "Send one Idempotency-Key of 1 to 255 visible ASCII characters."
            }
            Self::InvalidCredentials => "The e-mail address or the password is wrong.",
            Self::InvalidToken => "Send a valid token; logging in gives a new one.",
            Self::Forbidden => "Your account does not have the role that this needs.",
            Self::NotFound => "Nothing is here.",
            Self::MethodNotAllowed => "The Allow header lists the methods.",
            Self::EmailTaken => "An account with this e-mail address exists.",
            Self::IdempotencyKeyInFlight => {
                "Send it again after the time in Retry-After to hear its answer."
            }
            Self::QuotaReached => "Delete some before you create more.",
            Self::PreconditionFailed => {
                "It was changed meanwhile: read it again and repeat the change."
            }
            Self::TooLarge => "Send a smaller body.",
            Self::UnsupportedMediaType => "Send the body as application/json.",
            Self::ValidationFailed => "Correct the fields listed in errors and send it again.",
            Self::IdempotencyKeyReused => "Use a new Idempotency-Key for a new request.",
            Self::RateLimited => "Try again after the time in Retry-After.",
            Self::Internal => "Something went wrong on our side. It has been recorded.",
            Self::Unavailable => {
                "A server we depend on is unavailable. Try again after the time in Retry-After."
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
            Self::IdempotencyKeyInFlight | Self::RateLimited => Some(1),
            Self::MalformedRequest
            | Self::MalformedJson
            | Self::IdempotencyKeyMalformed
            | Self::InvalidCredentials
            | Self::InvalidToken
            | Self::Forbidden
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::EmailTaken
            | Self::QuotaReached
            | Self::PreconditionFailed
            | Self::TooLarge
            | Self::UnsupportedMediaType
            | Self::ValidationFailed
            | Self::IdempotencyKeyReused
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
    fn every_503_and_429_says_when_to_come_back() {
        let come_back = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS];
        for kind in Kind::ALL.into_iter().filter(|kind| come_back.contains(&kind.status())) {
            assert!(kind.retry_after_s().is_some(), "{kind:?}");
        }
    }
}
