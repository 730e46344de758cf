//! The todos of a user, over HTTP.
//!
//! The access token names the user, whose id goes into the filter of every
//! query: a todo of somebody else is as unknown as one that never was, in status
//! and body. The consumer's work and this have nothing in common but the
//! collection; auth being away stops neither.
//!
//! The process keeps nothing: when it dies, a request in flight has changed its
//! one document or has not.

mod change;
mod create;
mod cursor;
mod item;
mod list;
mod path;
mod precondition;
mod read;
mod remove;
mod title;

pub(crate) mod openapi;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use onboard_http::{Kind, Problem};
use onboard_mongo::StoreError;
use onboard_runtime::Availability;
use onboard_runtime::availability::chain;
use onboard_token::{Authority, Verifier};

use crate::todos::Todos;

pub(crate) use list::ANSWER_MAX;

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct Api {
    todos: Todos,
    per_user_max: u32,
    verifier: Verifier,
    store: Availability,
}

/// Which path leads where.
pub(crate) fn router(api: Api) -> Router {
    let todos = get(list::list).post(create::create);
    let todo = get(read::read).patch(change::change).delete(remove::remove);
    Router::new()
        .route("/api/v1/todos", todos)
        .route("/api/v1/todos/{id}", todo)
        .with_state(Arc::new(api))
}

impl Authority for Api {
    fn verifier(&self) -> &Verifier {
        &self.verifier
    }
}

impl Api {
    pub(crate) fn new(todos: Todos, per_user_max: u32, verifier: Verifier) -> Self {
        Self { todos, per_user_max, verifier, store: Availability::new("mongo (todos)") }
    }

    /// What the store answered; or the problem, when it did not.
    fn answered<T>(&self, answer: Result<T, StoreError>) -> Result<T, Problem> {
        let error = match answer {
            Ok(value) => {
                self.store.up();
                return Ok(value);
            }
            Err(error) => error,
        };
        if error.is_retryable() {
            self.store.down(&chain(&error));
            return Err(Problem::new(Kind::Unavailable));
        }
        tracing::error!(error = chain(&error), "the store refused what it should accept");
        Err(Problem::new(Kind::Internal))
    }
}

/// A todo that the user does not have, whoever else may.
fn unknown() -> Problem {
    Problem::new(Kind::NotFound).detail("You have no todo with this id.")
}

/// An act whose answer may have got lost on the way back from the store.
fn unconfirmed(problem: Problem) -> Problem {
    match problem.kind() {
        Kind::Unavailable => problem.detail(
            "It could not be confirmed, and may have happened. Look at the todo after the time \
             in Retry-After before you repeat it.",
        ),
        _ => problem,
    }
}
