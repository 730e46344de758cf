//! What every HTTP side of the system has in common: problems (RFC 9457), JSON
//! bodies, health, metrics, one span and one log line per request, and a
//! server that drains before it stops.
//!
//! A service builds its [`axum::Router`] and hands it to [`Server::bind`].

pub mod body;
pub mod fields;
pub mod kind;
pub mod metrics;
pub mod problem;
pub mod server;
pub mod timestamp;
pub mod trace;

mod connections;
mod guard;
mod health;
mod observe;

pub use body::JsonObject;
pub use fields::Fields;
pub use kind::Kind;
pub use problem::{FieldError, Problem};
pub use server::{Drain, Server, ServerError};
pub use trace::RequestTrace;
