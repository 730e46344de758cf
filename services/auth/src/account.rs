//! `GET /api/v1/users/me`, and `GET /api/v1/users/<userId>` for admins.
//!
//! Both read the database: what they show is of now, not of when the token was
//! issued. Whether somebody may look at others is what the token says.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use onboard_contract::UserId;
use onboard_http::timestamp::rfc3339;
use onboard_http::{IdPath, Kind, Problem, ProblemBody};
use onboard_token::{Bearer, Refusal, Role};
use serde::Serialize;
use utoipa::ToSchema;

use crate::routes::App;
use crate::session::roles;
use crate::store::User;

/// An account as its owner and admins see it.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View {
    #[schema(value_type = String, format = Uuid)]
    user_id: UserId,
    email: String,
    #[schema(format = DateTime)]
    created_at: String,
    roles: Vec<Role>,
}

/// One's own account.
#[utoipa::path(
    get,
    path = "/api/v1/users/me",
    tag = "accounts",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The account.", body = View),
    ),
)]
pub(crate) async fn me(
    State(app): State<Arc<App>>,
    Bearer(identity): Bearer,
) -> Result<Json<View>, Refusal> {
    // The account of a token that is good may be gone.
    find(&app, identity.user).await?.map(Json).ok_or(Refusal::InvalidToken)
}

/// Anybody's account, for admins.
#[utoipa::path(
    get,
    path = "/api/v1/users/{userId}",
    tag = "accounts",
    security(("bearer" = [])),
    params(("userId" = String, Path, description = "The `userId` that registering answered.")),
    responses(
        (status = 200, description = "The account.", body = View),
        (status = 403, description = "The token is not an admin's.", body = ProblemBody<'_>,
            content_type = "application/problem+json"),
        (status = 404, description = "There is none with this id.", body = ProblemBody<'_>,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn user(
    State(app): State<Arc<App>>,
    Bearer(identity): Bearer,
    IdPath(id): IdPath<UserId>,
) -> Result<Json<View>, Problem> {
    if !identity.has(Role::Admin) {
        tracing::warn!(user_id = %identity.user, "an account was asked for without the role");
        return Err(Problem::new(Kind::Forbidden));
    }
    let found = match id {
        Some(id) => find(&app, id).await?,
        None => None,
    };
    let view = found
        .ok_or_else(|| Problem::new(Kind::NotFound).detail("There is no account with this id."))?;
    tracing::info!(user_id = %identity.user, seen = %view.user_id, "an admin read an account");
    Ok(Json(view))
}

async fn find(app: &App, id: UserId) -> Result<Option<View>, Problem> {
    let found = app.users.find(id).await.map_err(|error| app.store_failed(&error))?;
    app.store_answered();
    Ok(found.map(View::new))
}

impl View {
    fn new(user: User) -> Self {
        Self {
            user_id: user.user_id,
            roles: roles(&user),
            email: user.email,
            created_at: rfc3339(user.created_at_ms),
        }
    }
}
