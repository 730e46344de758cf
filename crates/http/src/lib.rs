//! What every HTTP side of the system has in common: problems (RFC 9457), JSON
//! bodies, health, metrics, one span and one log line per request, and a
//! server that drains before it stops.
//!
//! A service builds its [`axum::Router`] and hands it to [`Server::bind`].

pub mod body;
pub mod client;
pub mod cors;
pub mod edge;
pub mod fields;
pub mod kind;
pub mod limit;
pub mod management;
pub mod metrics;
pub mod network;
pub mod openapi;
pub mod path;
pub mod places;
pub mod problem;
pub mod query;
pub mod server;
pub mod timestamp;
pub mod trace;

mod connections;
mod guard;
mod head;
mod health;
mod leaving;
mod listener;
mod observe;

pub use body::{JsonObject, MergePatch};
pub use client::Client;
pub use edge::{Edge, EdgeArgs};
pub use fields::Fields;
pub use kind::Kind;
pub use management::{MANAGEMENT_DRAIN_MAX, Management, ManagementArgs, ManagementConfig};
pub use network::{ClientNetwork, Networks};
pub use onboard_json::Object;
pub use path::IdPath;
pub use places::{Place, Places};
pub use problem::{FieldError, Problem, ProblemBody};
pub use query::Query;
pub use server::{DRAIN_MAX, Drain, Server, ServerError};
pub use trace::RequestTrace;
