//! A 401 with the challenge that RFC 9110 (section 11.6.1) wants beside it.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use onboard_http::{Kind, Problem};

const NO_TOKEN: &str = r#"Bearer realm="onboard""#;
const INVALID: &str = r#"Bearer realm="onboard", error="invalid_token""#;

/// Why a request is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It brought no token. 401; RFC 6750 (section 3.1) wants no error code.
    NoToken,
    /// Its token is not good. 401.
    InvalidToken,
    /// Another problem, answered as it is; a 401 gets the challenge.
    Other(Problem),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Other(problem)
    }
}

impl Refusal {
    /// The problem the client sees.
    #[must_use]
    pub fn problem(self) -> Problem {
        match self {
            Self::NoToken => Problem::new(Kind::InvalidToken)
                .detail("Send an access token: Authorization: Bearer <token>."),
            Self::InvalidToken => Problem::new(Kind::InvalidToken),
            Self::Other(problem) => problem,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let challenge = if self == Self::InvalidToken { INVALID } else { NO_TOKEN };
        let mut response = self.problem().into_response();
        if response.status() == axum::http::StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static(challenge);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
