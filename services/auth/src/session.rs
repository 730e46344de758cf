//! What login and refresh answer: an access token, and the refresh token that
//! gets the next one.
//!
//! A refresh token is 32 bytes in base64url. The first one of a session is random; the
//! one after it is the HMAC of it under a key derived from the service's secret, so
//! that it can be answered again without being stored (docs/adr/0019). Only the
//! SHA-256 of a token is stored; with that many random bits a slow hash would add
//! nothing.

mod settings;

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use onboard_contract::{SessionId, UserId};
use onboard_http::{Client, Kind, Problem};
use onboard_runtime::Secret;
use onboard_runtime::availability::chain;
use onboard_runtime::clock::{self, millis};
use onboard_runtime::memory::wipe_stack;
use onboard_token::{Role, Subject};
use ring::digest::{SHA256, digest};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use utoipa::ToSchema;

use crate::routes::App;
use crate::store::{NewSession, NewToken, TokenHash, User, Witness};
pub use settings::{SessionArgs, SessionConfig};

const BYTES: usize = 32;

/// How long sessions and their tokens live.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetimes {
    pub(crate) session: Duration,
    pub(crate) refresh_token: Duration,
    /// How long a used refresh token is answered again.
    pub(crate) grace: Duration,
}

/// A pair of tokens.
#[derive(Serialize, ToSchema)]
#[schema(as = Tokens)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tokens {
    /// For `Authorization: Bearer`.
    access_token: String,
    #[schema(pattern = "^Bearer$", examples("Bearer"))]
    token_type: &'static str,
    /// How long the access token is good, in seconds.
    #[schema(minimum = 60, maximum = 900)]
    expires_in: u64,
    /// Good once, for the next pair of tokens.
    refresh_token: String,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(..)")
    }
}

impl IntoResponse for Tokens {
    /// Every answer has `Cache-Control: no-store` unless it says otherwise.
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// A refresh token of one's own making, or one that somebody sent.
pub(crate) struct RefreshToken(SecretString);

impl RefreshToken {
    /// A new one.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(crate) fn make() -> Result<Self, Problem> {
        let mut bytes = [0; BYTES];
        if SystemRandom::new().fill(&mut bytes).is_err() {
            tracing::error!("the system gives no random numbers");
            return Err(Problem::new(Kind::Internal));
        }
        Ok(Self(SecretString::from(URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// The one after it: the same whenever it is asked for.
    pub(crate) fn successor(&self, key: &hmac::Key) -> Self {
        let tag = hmac::sign(key, self.0.expose_secret().as_bytes());
        wipe_stack();
        Self(SecretString::from(URL_SAFE_NO_PAD.encode(tag.as_ref())))
    }

    /// One that was sent; `None` when it cannot be one of ours.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == BYTES).then(|| Self(SecretString::from(text.to_owned())))
    }

    pub(crate) fn hash(&self) -> TokenHash {
        let digest = digest(&SHA256, self.0.expose_secret().as_bytes());
        let mut hash = [0; 32];
        hash.copy_from_slice(digest.as_ref());
        // The hash kept the token in a block of its own.
        wipe_stack();
        TokenHash(hash)
    }

    /// As the store keeps it.
    pub(crate) fn stored(&self, app: &App) -> NewToken {
        let Lifetimes { refresh_token, grace, .. } = app.lifetimes;
        NewToken { hash: self.hash(), idle_ms: millis(refresh_token), grace_ms: millis(grace) }
    }
}

/// The keys under which refresh tokens follow one another: first that of today.
pub(crate) fn successors(secret: &Secret) -> Vec<hmac::Key> {
    let keys = secret.derive("refresh tokens");
    keys.all().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.expose_secret())).collect()
}

/// Opens a session for a user who has just proved to be one.
pub(crate) async fn open(app: &App, user: &User, client: Client) -> Result<Tokens, Problem> {
    // Before anything is written: without a key there is nothing to answer.
    app.can_sign()?;
    let refresh = RefreshToken::make()?;
    let new = NewSession {
        user_id: user.user_id,
        lifetime_ms: millis(app.lifetimes.session),
        token: refresh.stored(app),
    };
    let by = app.witnesses.of(client);
    let opened = app.sessions.open(new, &by).await.map_err(|error| app.store_failed(&error))?;
    tracing::info!(user_id = %user.user_id, session_id = %opened.session_id, "logged in");
    end_oldest(app, user.user_id, opened.session_id, &by).await;
    issue(app, user, opened.session_id, &refresh)
}

/// Ends the oldest sessions where the user has too many by now. Whatever goes wrong, the
/// login stands and the next one tries again.
async fn end_oldest(app: &App, user_id: UserId, newest: SessionId, by: &Witness) {
    match app.sessions.end_oldest(user_id, newest, (app.sessions_max, by)).await {
        Ok(ended) => {
            for session_id in ended {
                tracing::info!(%user_id, %session_id, "ended the oldest session of too many");
            }
        }
        Err(error) => {
            tracing::warn!(%user_id, error = chain(&error), "old sessions were not ended");
        }
    }
}

/// The answer with both tokens.
pub(crate) fn issue(
    app: &App,
    user: &User,
    session: SessionId,
    refresh: &RefreshToken,
) -> Result<Tokens, Problem> {
    let subject = Subject { user: user.user_id, roles: roles(user), session };
    let issued = app.signer.sign(&*app.can_sign()?, &subject, clock::now_ms());
    Ok(Tokens {
        access_token: issued.token,
        token_type: "Bearer",
        expires_in: issued.expires_in_s,
        refresh_token: refresh.0.expose_secret().to_owned(),
    })
}

/// The roles that this version knows.
pub(crate) fn roles(user: &User) -> Vec<Role> {
    user.roles.iter().filter_map(|role| role.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_token_has_one_spelling_and_only_its_hash_is_kept() {
        let token = RefreshToken::make().unwrap();
        let text = token.0.expose_secret().to_owned();
        assert_eq!(text.len(), 43);
        assert_eq!(RefreshToken::parse(&text).unwrap().hash(), token.hash());
        assert_ne!(RefreshToken::make().unwrap().hash(), token.hash());
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"one secret");
        let other = hmac::Key::new(hmac::HMAC_SHA256, b"another");
        let next = token.successor(&key);
        assert_eq!(next.hash(), token.successor(&key).hash(), "the same again");
        assert!(RefreshToken::parse(next.0.expose_secret()).is_some());
        for different in [token.hash(), token.successor(&other).hash(), next.successor(&key).hash()]
        {
            assert_ne!(next.hash(), different);
        }
        let short = &text[..42];
        for other in ["", short, &format!("{text}="), &format!("{text}A"), &format!("{text} ")] {
            assert!(RefreshToken::parse(other).is_none(), "{other}");
        }
    }
}
