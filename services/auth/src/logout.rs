//! `POST /api/v1/auth/logout`: ends the session of a refresh token.
//!
//! The answer is the same whatever the token was. Access tokens are not called
//! back: they end by themselves within 15 minutes. When the process dies before
//! the write the session goes on and the client, which heard nothing, tries
//! again.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use onboard_http::{Client, JsonObject, Problem};

use crate::refresh::{RefreshBody, token};
use crate::routes::App;
use crate::session::RefreshToken;
use crate::store::Revoked;

/// Ends a session.
#[utoipa::path(
    post,
    path = "/api/v1/auth/logout",
    tag = "sessions",
    request_body = RefreshBody,
    responses(
        (status = 204, description = "The session is over, if there was one."),
    ),
)]
pub(crate) async fn logout(
    State(app): State<Arc<App>>,
    client: Client,
    body: Result<JsonObject, Problem>,
) -> Result<StatusCode, Problem> {
    if let Some(sent) = RefreshToken::parse(&token(body?.0)?) {
        end(&app, &sent, client).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn end(app: &App, sent: &RefreshToken, client: Client) -> Result<(), Problem> {
    let failed = |error| app.store_failed(&error);
    if let Some(session_id) = app.sessions.find(sent.hash()).await.map_err(failed)? {
        let by = app.witnesses.of(client);
        let revoked = app.sessions.revoke(session_id, Revoked::Logout, &by).await;
        let revoked = revoked.map_err(failed)?;
        tracing::info!(%session_id, revoked, "logged out");
    }
    app.store_answered();
    Ok(())
}
