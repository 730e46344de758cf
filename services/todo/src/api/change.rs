//! `PATCH /api/v1/todos/<id>`: a merge patch (RFC 7396) of title and completed.
//!
//! With `If-Match` the change happens in the version the client has seen, or not
//! at all; without it the last write wins, field by field. When the process dies
//! after the update, the change has happened and only the answer is lost.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use onboard_http::{Fields, Kind, MergePatch, Object, Problem, ProblemBody};
use onboard_token::Bearer;
use utoipa::ToSchema;

use crate::todos::{Change, Changed};

use super::item::{Item, Tagged};
use super::path::TodoPath;
use super::precondition::expected;
use super::{Api, title, unconfirmed, unknown};

/// What is to be changed: at least one of them. Other fields are ignored.
#[derive(Debug, ToSchema)]
#[schema(as = TodoPatch, min_properties = 1)]
#[expect(dead_code, reason = "describes what `Fields` reads")]
pub(crate) struct TodoPatch {
    #[schema(schema_with = title::schema, required = false)]
    title: Option<String>,
    #[schema(value_type = bool, required = false, examples(true))]
    completed: Option<bool>,
}

/// Changes a todo.
#[utoipa::path(
    patch,
    path = "/api/v1/todos/{id}",
    tag = "todos",
    security(("bearer" = [])),
    params(
        ("id" = String, Path, description = "The todo's id."),
        ("If-Match" = Option<String>, Header,
            description = "The `ETag` you have seen: 412 when it no longer holds. Without it the \
                last write wins."),
    ),
    request_body(content(
        (TodoPatch = "application/json"),
        (TodoPatch = "application/merge-patch+json"),
    )),
    responses(
        (status = 200, description = "The todo as it is now.", body = Item,
            headers(("ETag" = String, description = "Its new version."))),
        (status = 404, description = "You have no such todo.", body = ProblemBody<'_>,
            content_type = "application/problem+json"),
        (status = 412, description = "It is in another version.", body = ProblemBody<'_>,
            content_type = "application/problem+json"),
        (status = 503, description = "A server we depend on is unavailable. The change may have happened.",
            body = ProblemBody<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn change(
    State(api): State<Arc<Api>>,
    Bearer(identity): Bearer,
    TodoPath(id): TodoPath,
    headers: HeaderMap,
    MergePatch(body): MergePatch,
) -> Result<Tagged, Problem> {
    let user = identity.user;
    let change = parse(body)?;
    let changed = api.todos.change(user, id, change, &expected(&headers)).await;
    match api.answered(changed).map_err(unconfirmed)? {
        Changed::Done(todo) => {
            tracing::info!(user_id = %user, todo_id = %id, version = todo.version, "todo changed");
            Ok(Tagged(todo))
        }
        Changed::Unknown => Err(unknown()),
        Changed::Stale => Err(Problem::new(Kind::PreconditionFailed)),
    }
}

/// Looks at every field before it answers.
fn parse(body: Object) -> Result<Change, Problem> {
    let mut fields = Fields::new(body);
    let title = fields.optional_string("title").map(title::parse);
    let title = title.and_then(|parsed| fields.accept("title", parsed));
    let completed = fields.optional_bool("completed");
    if title.is_none() && completed.is_none() && fields.is_sound() {
        fields.reject_whole("must hold title or completed");
    }
    fields.finish(Some(Change { title, completed }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn object(body: &Value) -> Object {
        Object::parse(body.to_string().as_bytes()).unwrap()
    }

    fn errors(body: &Value) -> Vec<(String, String)> {
        let problem = parse(object(body)).unwrap_err();
        let place = |error: &onboard_http::FieldError| {
            (error.pointer.clone().unwrap(), error.detail.to_string())
        };
        problem.errors().iter().map(place).collect()
    }

    #[test]
    fn a_change_names_what_it_changes() {
        let read = |body: Value| parse(object(&body)).unwrap();
        let change = Change { title: Some("x".to_owned()), completed: None };
        assert_eq!(read(json!({ "title": "x", "version": 9, "userId": "y" })), change);
        let change = Change { title: None, completed: Some(false) };
        assert_eq!(read(json!({ "completed": false })), change);
    }

    #[test]
    fn every_bad_field_is_named() {
        let table = [
            (json!({}), vec![("#", "must hold title or completed")]),
            (json!({ "id": 7 }), vec![("#", "must hold title or completed")]),
            (
                json!({ "title": null, "completed": null }),
                vec![("#/title", "must not be null"), ("#/completed", "must not be null")],
            ),
            (
                json!({ "title": { "$gt": "" }, "completed": { "$ne": true } }),
                vec![("#/title", "must be a string"), ("#/completed", "must be true or false")],
            ),
            (
                json!({ "title": "", "completed": true }),
                vec![("#/title", "must have at least 1 character")],
            ),
        ];
        for (body, expected) in table {
            let found = errors(&body);
            let found: Vec<_> = found.iter().map(|(p, d)| (p.as_str(), d.as_str())).collect();
            assert_eq!(found, expected, "{body}");
        }
    }
}
