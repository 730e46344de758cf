//! `POST /api/v1/todos`: a todo of the user's own.
//!
//! When the process dies after the insert, the todo is there and only the answer
//! is lost; a client that sends it again has two.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use onboard_http::{Fields, JsonObject, Kind, Problem, ProblemBody};
use onboard_token::Bearer;
use utoipa::ToSchema;

use crate::todos::Created;

use super::item::{Item, Tagged};
use super::{Api, title, unconfirmed};

/// A todo to be created. Other fields are ignored.
#[derive(Debug, ToSchema)]
#[schema(as = NewTodo)]
#[expect(dead_code, reason = "describes what `Fields` reads")]
pub(crate) struct NewTodo {
    #[schema(schema_with = title::schema)]
    title: String,
}

/// Creates a todo.
#[utoipa::path(
    post,
    path = "/api/v1/todos",
    tag = "todos",
    security(("bearer" = [])),
    request_body = NewTodo,
    responses(
        (status = 201, description = "The todo.", body = Item, headers(
            ("Location" = String, description = "Where it is."),
            ("ETag" = String, description = "Its version."),
        )),
        (status = 409, description = "You have as many todos as there may be.",
            body = ProblemBody<'_>, content_type = "application/problem+json"),
        (status = 503, description = "A server we depend on is unavailable. The todo may have been created.",
            body = ProblemBody<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    Bearer(identity): Bearer,
    JsonObject(body): JsonObject,
) -> Result<Response, Problem> {
    let user = identity.user;
    let mut fields = Fields::new(body);
    let title = fields.string("title").map(title::parse);
    let title = title.and_then(|parsed| fields.accept("title", parsed));
    let title = fields.finish(title)?;
    let created = api.todos.create(user, &title, api.per_user_max).await;
    match api.answered(created).map_err(unconfirmed)? {
        Created::Done(todo) => {
            tracing::info!(user_id = %user, todo_id = %todo.id, "todo created");
            let location = [(header::LOCATION, format!("/api/v1/todos/{}", todo.id))];
            Ok((StatusCode::CREATED, location, Tagged(todo)).into_response())
        }
        Created::Full => Err(Problem::new(Kind::QuotaReached).detail(format!(
            "You have {} todos, and there may be no more. Delete some first.",
            api.per_user_max
        ))),
    }
}
