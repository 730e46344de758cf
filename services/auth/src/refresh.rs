//! `POST /api/v1/auth/refresh`: the next pair of tokens.
//!
//! A refresh token is good once. For `REFRESH_TOKEN_GRACE` its second use is answered
//! with the same next token, for two tabs that refresh at once and for a client
//! that did not hear the answer. A later use means that two parties have it, so its
//! session is revoked: whoever stole it is out, and so is the user, who logs in
//! again. When the process dies before the commit, the token is still good.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use onboard_contract::SessionId;
use onboard_http::{Client, Fields, JsonObject, Object, Problem, ProblemBody};
use onboard_token::Refusal;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::routes::App;
use crate::session::{RefreshToken, Tokens, issue};
use crate::store::{Revoked, Rotated, TokenHash};

/// What refresh and logout send.
#[derive(Deserialize, ToSchema)]
#[schema(as = RefreshToken)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "it describes the body; `token` reads it")]
pub(crate) struct RefreshBody {
    #[schema(examples("the refreshToken of the last answer"))]
    refresh_token: String,
}

/// How a refresh ended without tokens.
enum Unrefreshed {
    /// A second use; the session is revoked.
    Reused,
    /// Unknown, expired, or its session is over.
    Invalid,
    Other(Problem),
}

impl From<Problem> for Unrefreshed {
    fn from(problem: Problem) -> Self {
        Self::Other(problem)
    }
}

/// Exchanges a refresh token for the next pair of tokens.
///
/// A token is good once. Using it again within seconds answers the same refresh token;
/// using it later ends the session.
#[utoipa::path(
    post,
    path = "/api/v1/auth/refresh",
    tag = "sessions",
    request_body = RefreshBody,
    responses(
        (status = 200, description = "The next pair of tokens.", body = Tokens),
        (status = 401, description = "The token is unknown, expired, used or revoked.",
            body = ProblemBody<'_>, content_type = "application/problem+json"),
        (status = 429, description = "Too many from this address.", body = ProblemBody<'_>,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn refresh(
    State(app): State<Arc<App>>,
    client: Client,
    body: Result<JsonObject, Problem>,
) -> Response {
    let answered = answer(&app, client, body).await;
    let outcome = match &answered {
        Ok(_) => "success",
        Err(Unrefreshed::Reused) => "reused",
        Err(Unrefreshed::Invalid) => "invalid-token",
        Err(Unrefreshed::Other(problem)) => problem.kind().slug(),
    };
    metrics::counter!("token_refreshes_total", "outcome" => outcome).increment(1);
    let refused = |error| match error {
        Unrefreshed::Reused | Unrefreshed::Invalid => Refusal::InvalidToken,
        Unrefreshed::Other(problem) => problem.into(),
    };
    answered.map_err(refused).into_response()
}

async fn answer(
    app: &App,
    client: Client,
    body: Result<JsonObject, Problem>,
) -> Result<Tokens, Unrefreshed> {
    let Some(sent) = RefreshToken::parse(&token(body?.0)?) else {
        tracing::info!("a refresh with no token of ours was refused");
        return Err(Unrefreshed::Invalid);
    };
    // Before the token is used up: without a key there is nothing to answer.
    app.can_sign()?;
    let (next, others) = app.next_tokens(&sent)?;
    let hashes = others.iter().map(RefreshToken::hash).collect();
    let rotated = app.sessions.rotate(sent.hash(), next.stored(app), hashes).await;
    let rotated = rotated.map_err(|error| app.store_failed(&error))?;
    app.store_answered();
    let (session_id, user_id, again) = match rotated {
        Rotated::Done { session_id, user_id, again } => (session_id, user_id, again),
        Rotated::Reused { session_id } => return Err(reused(app, session_id, client).await),
        Rotated::Refused => {
            tracing::info!("a refresh was refused");
            return Err(Unrefreshed::Invalid);
        }
    };
    let user = app.users.find(user_id).await.map_err(|error| app.store_failed(&error))?;
    let user = user.ok_or(Unrefreshed::Invalid)?;
    let again_as = |before: TokenHash| others.into_iter().find(|token| token.hash() == before);
    let next = again.and_then(again_as).unwrap_or(next);
    tracing::info!(%user_id, %session_id, again = again.is_some(), "refreshed");
    Ok(issue(app, &user, session_id, &next)?)
}

async fn reused(app: &App, session_id: SessionId, client: Client) -> Unrefreshed {
    let by = app.witnesses.of(client);
    match app.sessions.revoke(session_id, Revoked::Reuse, &by).await {
        Ok(revoked) => {
            tracing::warn!(%session_id, revoked, "a refresh token was used twice");
            Unrefreshed::Reused
        }
        // The client is to come back with the token, which revokes it then.
        Err(error) => app.store_failed(&error).into(),
    }
}

/// The token in a body.
pub(crate) fn token(body: Object) -> Result<String, Problem> {
    let mut fields = Fields::new(body);
    let token = fields.string("refreshToken");
    fields.finish(token)
}
