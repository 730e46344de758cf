//! Which path leads where.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use onboard_http::{Kind, Problem};
use onboard_runtime::{Availability, availability::chain};
use onboard_store::{Mongo, Registrations, StoreError};

use crate::Config;
use crate::hash::Hasher;
use crate::register::register;
use crate::registration::registration;

/// The API of the service.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/api/v1/auth/register", post(register))
        .route("/api/v1/registrations/{id}", get(registration))
        .with_state(Arc::new(app))
}

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) hasher: Hasher,
    pub(crate) registrations: Registrations,
    pub(crate) overdue_ms: i64,
    store: Availability,
}

impl App {
    pub(crate) fn new(config: &Config, mongo: &Mongo) -> Self {
        Self {
            hasher: Hasher::new(&config.hash),
            registrations: Registrations::new(mongo),
            overdue_ms: i64::try_from(config.overdue.as_millis()).unwrap_or(i64::MAX),
            store: Availability::new("mongo"),
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
}
