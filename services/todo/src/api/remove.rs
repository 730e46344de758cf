//! `DELETE /api/v1/todos/<id>`: removes a todo of the user, for good.
//!
//! When the process dies after the removal, only the answer is lost; a client
//! that sends it again hears 404.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use onboard_http::{Kind, Problem, ProblemBody};
use onboard_token::Bearer;

use crate::todos::Removed;

use super::path::TodoPath;
use super::precondition::expected;
use super::{Api, unconfirmed, unknown};

/// Deletes a todo.
///
/// The welcome todo can be deleted like any other, and does not come back.
#[utoipa::path(
    delete,
    path = "/api/v1/todos/{id}",
    tag = "todos",
    security(("bearer" = [])),
    params(
        ("id" = String, Path, description = "The todo's id."),
        ("If-Match" = Option<String>, Header,
            description = "The `ETag` you have seen: 412 when it no longer holds."),
    ),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "You have no such todo.", body = ProblemBody<'_>,
            content_type = "application/problem+json"),
        (status = 412, description = "It is in another version.", body = ProblemBody<'_>,
            content_type = "application/problem+json"),
        (status = 503, description = "A server we depend on is unavailable. It may be gone.",
            body = ProblemBody<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn remove(
    State(api): State<Arc<Api>>,
    Bearer(identity): Bearer,
    TodoPath(id): TodoPath,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let user = identity.user;
    let removed = api.todos.remove(user, id, &expected(&headers)).await;
    match api.answered(removed).map_err(unconfirmed)? {
        Removed::Done => {
            tracing::info!(user_id = %user, todo_id = %id, "todo deleted");
            Ok(StatusCode::NO_CONTENT)
        }
        Removed::Unknown => Err(unknown()),
        Removed::Stale => Err(Problem::new(Kind::PreconditionFailed)),
    }
}
