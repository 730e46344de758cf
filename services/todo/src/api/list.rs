//! `GET /api/v1/todos`: the todos of the user, newest first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use onboard_contract::UserId;
use onboard_http::{Problem, ProblemBody, Query};
use onboard_token::Bearer;
use serde::Serialize;
use utoipa::ToSchema;

use crate::todos::Position;

use super::item::{CACHING, Item};
use super::{Api, cursor};

const LIMIT: u32 = 20;
const LIMIT_MAX: u32 = 100;
/// The longest page, and so the longest answer, in bytes.
pub(crate) const ANSWER_MAX: u64 = 100 * 1024;

/// A page of todos.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Todos)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    /// The todos, newest first.
    #[schema(max_items = 100)]
    items: Vec<Item>,
    /// The `cursor` of the next page; null at the end.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// Your todos, newest first.
///
/// Ask again with `cursor` set to `nextCursor` until that is null. A todo that
/// is there all the while is on exactly one page, whatever is created or deleted
/// meanwhile.
#[utoipa::path(
    get,
    path = "/api/v1/todos",
    tag = "todos",
    security(("bearer" = [])),
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100,
            description = "How many at most; 20 unless given."),
        ("cursor" = Option<String>, Query,
            description = "The `nextCursor` of the page before. It holds for its user."),
    ),
    responses(
        (status = 200, description = "A page.", body = Page),
        (status = 422, description = "A parameter is wrong.", body = ProblemBody<'_>,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Bearer(identity): Bearer,
    query: Query,
) -> Result<Response, Problem> {
    let user = identity.user;
    let (limit, after) = parse(user, query)?;
    let page = api.answered(api.todos.page(user, after, limit).await)?;
    let next_cursor = page.next.map(|position| cursor::write(user, position));
    let items = page.items.into_iter().map(Item::from).collect();
    Ok(([CACHING], Json(Page { items, next_cursor })).into_response())
}

/// Looks at both parameters before it answers.
fn parse(user: UserId, mut query: Query) -> Result<(usize, Option<Position>), Problem> {
    let limit = query.number("limit", LIMIT, 1..=LIMIT_MAX);
    let mut after = None;
    if let Some(text) = query.text("cursor") {
        after = cursor::read(user, &text);
        if after.is_none() {
            query.refuse("cursor", cursor::REFUSED);
        }
    }
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    query.finish(limit).map(|limit| (limit, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::todos::Todo;

    #[test]
    fn the_longest_page_is_no_longer_than_what_is_counted() {
        let todo = Todo {
            id: "0190c1c4-7f6e-7d1a-8b1e-2f6f3a1b2c3d".parse().unwrap(),
            title: "\u{1f600}".repeat(200),
            completed: false,
            created_at_ms: 1_767_323_045_006,
            updated_at_ms: 1_767_323_046_000,
            version: 7,
        };
        let items = (0..LIMIT_MAX).map(|_| Item::from(todo.clone())).collect();
        let page = Page { items, next_cursor: Some("c".repeat(200)) };
        let bytes = serde_json::to_vec(&page).unwrap().len() as u64;
        assert!(bytes <= ANSWER_MAX && bytes > ANSWER_MAX / 2, "{bytes}");
    }
}
