//! What a client hears, in either mode.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use onboard_contract::{EventId, UserId};
use onboard_http::timestamp::rfc3339;
use onboard_http::{Kind, Problem};
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::Registered;

use super::Mode;

/// Says that the answer is that of an earlier request with the same key.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// How a request ended that was well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A user was made.
    Created(Registered),
    /// An earlier request with this key had made the user.
    Repeated(Registered),
    /// The address is taken.
    Taken,
    /// An earlier request with this key met a taken address, in silent mode.
    TakenBefore,
}

impl Outcome {
    /// The label in metrics and logs, which clients do not see.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Created(_) => "created",
            Self::Repeated(_) => "repeated",
            Self::Taken | Self::TakenBefore => Kind::EmailTaken.slug(),
        }
    }

    const fn is_repeat(self) -> bool {
        match self {
            Self::Repeated(_) | Self::TakenBefore => true,
            Self::Created(_) | Self::Taken => false,
        }
    }

    /// The answer. The address comes from the request itself.
    pub(super) fn answer(self, mode: Mode, email: &str) -> Response {
        let mut response = match (mode, self) {
            (Mode::Silent { .. }, _) => Accepted { email }.into_response(),
            (Mode::Explicit, Self::Created(registered) | Self::Repeated(registered)) => {
                Account::new(registered, email).into_response()
            }
            (Mode::Explicit, Self::Taken | Self::TakenBefore) => {
                return Problem::new(Kind::EmailTaken).into_response();
            }
        };
        if self.is_repeat() {
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

/// Who was registered, and where to see how far the registration is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Registered)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account<'a> {
    #[schema(value_type = String, format = Uuid)]
    user_id: UserId,
    /// As it was given.
    email: &'a str,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(value_type = String, format = Uuid)]
    registration_id: EventId,
}

/// The answer of silent mode. It holds nothing that a taken address could not
/// have: an id of nobody would be found out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Accepted<'a> {
    /// As it was given.
    email: &'a str,
}

impl<'a> Account<'a> {
    fn new(registered: Registered, email: &'a str) -> Self {
        Self {
            user_id: registered.user_id,
            email,
            created_at: rfc3339(registered.created_at_ms),
            registration_id: registered.event_id,
        }
    }
}

impl IntoResponse for Account<'_> {
    fn into_response(self) -> Response {
        let location = format!("/api/v1/registrations/{}", self.registration_id);
        (StatusCode::CREATED, [(header::LOCATION, location)], Json(self)).into_response()
    }
}

impl IntoResponse for Accepted<'_> {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, Json(self)).into_response()
    }
}
