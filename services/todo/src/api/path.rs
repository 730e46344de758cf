//! The id in the path, refused before the body is read.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use onboard_events::TodoId;
use onboard_http::{IdPath, Problem};

use super::unknown;

/// The id of a todo.
#[derive(Debug)]
pub(crate) struct TodoPath(pub(crate) TodoId);

impl<S: Send + Sync> FromRequestParts<S> for TodoPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Ok(IdPath(id)) = IdPath::from_request_parts(parts, state).await;
        id.map(Self).ok_or_else(unknown)
    }
}
