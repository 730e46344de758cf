//! `GET /api/v1/todos/<id>`: one todo of the user.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use onboard_http::{Problem, ProblemBody};
use onboard_token::Bearer;

use super::item::{CACHING, Item, Tagged};
use super::path::TodoPath;
use super::precondition::{is_known, tag};
use super::{Api, unknown};

/// One of your todos.
#[utoipa::path(
    get,
    path = "/api/v1/todos/{id}",
    tag = "todos",
    security(("bearer" = [])),
    params(
        ("id" = String, Path, description = "The todo's id."),
        ("If-None-Match" = Option<String>, Header,
            description = "The `ETag` you have: 304 when it still holds."),
    ),
    responses(
        (status = 200, description = "The todo.", body = Item,
            headers(("ETag" = String, description = "Its version."))),
        (status = 304, description = "You have this version.",
            headers(("ETag" = String, description = "Its version."))),
        (status = 404, description = "You have no such todo.", body = ProblemBody<'_>,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn read(
    State(api): State<Arc<Api>>,
    Bearer(identity): Bearer,
    TodoPath(id): TodoPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let todo = api.answered(api.todos.find(identity.user, id).await)?.ok_or_else(unknown)?;
    if is_known(&headers, todo.version) {
        let tag = [(header::ETAG, tag(todo.version))];
        return Ok((StatusCode::NOT_MODIFIED, tag, [CACHING]).into_response());
    }
    Ok(Tagged(todo).into_response())
}
