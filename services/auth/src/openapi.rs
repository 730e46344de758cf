//! The description of the service's API, collected from the handlers.

use onboard_http::openapi::complete;
use utoipa::OpenApi as _;

/// The API as `/openapi.json` tells it.
#[must_use]
pub fn description() -> utoipa::openapi::OpenApi {
    complete(Description::openapi())
}

/// Every path of the API.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Onboard: accounts",
        version = "1.0.0",
        description = "Registration and sign-in. Errors are problem details (RFC 9457); each \
                       problem's `type` is a path of this service that explains it.",
    ),
    paths(
        crate::register::register,
        crate::registration::registration,
        crate::registration::events::events,
        crate::login::login,
        crate::refresh::refresh,
        crate::logout::logout,
        crate::account::me,
        crate::account::user,
        crate::jwks::jwks,
    )
)]
struct Description;
