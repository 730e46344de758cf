//! Which path leads where.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use onboard_http::{Kind, Problem};
use onboard_mongo::StoreError;
use onboard_outbox::Outbox;
use onboard_runtime::{Availability, availability::chain, clock};
use onboard_token::{Authority, Signer, SigningKey, Verifier};
use ring::hmac;

use crate::Config;
use crate::account::{me, user};
use crate::device::Devices;
use crate::hash::{HashError, Hasher};
use crate::idempotency::IdempotencyKeys;
use crate::jwks::jwks;
use crate::keys::Keys;
use crate::login::login;
use crate::logout::logout;
use crate::refresh::refresh;
use crate::register::{Mode, register};
use crate::registration::events::events;
use crate::registration::{Followers, registration};
use crate::session::{self, Lifetimes, RefreshToken};
use crate::store::{Registrations, SecurityEvents, Sessions, Users};
use crate::throttle::Throttle;
use crate::witness::Witnesses;

/// The API of the service.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/api/v1/auth/register", post(register))
        .route("/api/v1/registrations/{id}", get(registration))
        .route("/api/v1/registrations/{id}/events", get(events))
        .route("/api/v1/auth/login", post(login))
        .route("/api/v1/auth/refresh", post(refresh))
        .route("/api/v1/auth/logout", post(logout))
        .route("/api/v1/users/me", get(me))
        .route("/api/v1/users/{userId}", get(user))
        .route("/.well-known/jwks.json", get(jwks))
        .with_state(Arc::new(app))
}

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) hasher: Hasher,
    pub(crate) throttle: Throttle,
    pub(crate) devices: Devices,
    pub(crate) registrations: Registrations,
    pub(crate) followers: Followers,
    pub(crate) idempotency: IdempotencyKeys,
    pub(crate) mode: Mode,
    pub(crate) overdue_ms: i64,
    pub(crate) users: Users,
    pub(crate) sessions: Sessions,
    pub(crate) events: SecurityEvents,
    pub(crate) witnesses: Witnesses,
    pub(crate) sessions_max: u32,
    pub(crate) lifetimes: Lifetimes,
    successors: Vec<hmac::Key>,
    pub(crate) keys: Keys,
    pub(crate) signer: Signer,
    verifier: Verifier,
    store: Availability,
}

impl Authority for App {
    fn verifier(&self) -> &Verifier {
        &self.verifier
    }
}

impl App {
    pub(crate) fn new(
        config: &Config,
        outbox: &Outbox,
        keys: Keys,
        followers: Followers,
    ) -> std::io::Result<Self> {
        let mongo = outbox.mongo();
        Ok(Self {
            hasher: Hasher::new(&config.hash)?,
            registrations: Registrations::new(outbox)
                .with_consumers(config.register.extra_consumers.clone()),
            followers,
            idempotency: IdempotencyKeys::new(&config.secret, config.register.key_lifetime),
            mode: config.register.mode,
            overdue_ms: clock::millis(config.overdue),
            throttle: Throttle::new(),
            devices: Devices::new(&config.secret, config.production),
            users: Users::new(mongo),
            sessions: Sessions::new(mongo),
            events: SecurityEvents::new(mongo),
            witnesses: Witnesses::new(&config.secret, config.events_kept),
            sessions_max: config.session.per_user_max,
            lifetimes: config.session.lifetimes,
            successors: session::successors(&config.secret),
            signer: Signer::new(config.token.clone(), config.session.access_token),
            verifier: Verifier::new(config.token.clone(), keys.public().clone()),
            keys,
            store: Availability::new("mongo"),
        })
    }

    /// The key that signs now. Without one nobody can be let in.
    pub(crate) fn can_sign(&self) -> Result<Arc<SigningKey>, Problem> {
        self.keys.signing(clock::now_ms()).ok_or(Problem::new(Kind::Unavailable))
    }

    /// The refresh token after this one, and those that it has under secrets of before.
    /// Where a second use of this one is answered again, it is always the same one.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(crate) fn next_tokens(
        &self,
        sent: &RefreshToken,
    ) -> Result<(RefreshToken, Vec<RefreshToken>), Problem> {
        let mut derived = self.successors.iter().map(|key| sent.successor(key));
        match derived.next() {
            Some(next) if !self.lifetimes.grace.is_zero() => Ok((next, derived.collect())),
            Some(_) | None => Ok((RefreshToken::make()?, Vec::new())),
        }
    }

    /// Notes that the store answered.
    pub(crate) fn store_answered(&self) {
        self.store.up();
    }

    /// The answer when the store failed: it may be back soon, or somebody must
    /// look.
    pub(crate) fn store_failed(&self, error: &StoreError) -> Problem {
        if error.is_retryable() {
            self.store.down(&chain(error));
            return Problem::new(Kind::Unavailable);
        }
        tracing::error!(error = chain(error), "the store refused what it should accept");
        Problem::new(Kind::Internal)
    }

    /// The answer when a password was neither hashed nor compared.
    pub(crate) fn hash_failed(error: &HashError) -> Problem {
        match error {
            HashError::Overloaded => Problem::new(Kind::Overloaded),
            HashError::Failed(_) | HashError::Died => {
                tracing::error!(error = chain(error), "a password was not hashed");
                Problem::new(Kind::Internal)
            }
        }
    }
}
