//! A todo as clients see it, with the version in the entity tag.

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use onboard_events::TodoId;
use onboard_http::timestamp::rfc3339;
use serde::Serialize;
use utoipa::ToSchema;

use crate::todos::Todo;

use super::precondition::tag;

/// Only the client's own cache may keep an answer, and asks before it uses it.
pub(crate) const CACHING: (header::HeaderName, &str) = (header::CACHE_CONTROL, "private, no-cache");

/// A todo.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Todo)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Item {
    #[schema(value_type = String, format = Uuid)]
    id: TodoId,
    #[schema(min_length = 1, max_length = 200)]
    title: String,
    completed: bool,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<Todo> for Item {
    fn from(todo: Todo) -> Self {
        Self {
            id: todo.id,
            title: todo.title,
            completed: todo.completed,
            created_at: rfc3339(todo.created_at_ms),
            updated_at: rfc3339(todo.updated_at_ms),
        }
    }
}

/// One todo with its entity tag.
#[derive(Debug)]
pub(crate) struct Tagged(pub(crate) Todo);

impl IntoResponse for Tagged {
    fn into_response(self) -> Response {
        let tag = [(header::ETAG, tag(self.0.version))];
        (tag, [CACHING], Json(Item::from(self.0))).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_has_these_fields_and_no_others() {
        let todo = Todo {
            id: "0190c1c4-7f6e-7d1a-8b1e-2f6f3a1b2c3d".parse().unwrap(),
            title: "Buy milk".to_owned(),
            completed: false,
            created_at_ms: 1_767_323_045_006,
            updated_at_ms: 1_767_323_046_000,
            version: 7,
        };
        let response = Tagged(todo.clone()).into_response();
        assert_eq!(response.headers()[header::ETAG], "\"7\"");
        let expected = serde_json::json!({
            "id": "0190c1c4-7f6e-7d1a-8b1e-2f6f3a1b2c3d",
            "title": "Buy milk",
            "completed": false,
            "createdAt": "2026-01-02T03:04:05.006Z",
            "updatedAt": "2026-01-02T03:04:06.000Z",
        });
        assert_eq!(serde_json::to_value(Item::from(todo)).unwrap(), expected);
    }
}
