//! The local stack: real `mongod`, `RabbitMQ` and Temporal on this machine,
//! and the services beside them, each under supervision.
//!
//! `onboard up` and the integration tests use the same code. Whatever happens
//! to the process that uses this library, SIGKILL included, nothing it
//! started is left running: see [`guard`] and `keeper`.
//!
//! Reading order: [`stack`] (the whole) → [`servers`] → [`component`] (one
//! process under supervision) → [`process`] → [`guard`].

pub mod cache;
pub mod component;
pub mod control;
pub mod display;
pub mod event;
pub mod guard;
pub mod home;
pub mod install;
pub mod ports;
pub mod probe;
pub mod process;
pub mod servers;
pub mod services;
pub mod setup;
pub mod stack;
pub mod state;
pub mod tools;

mod http;
mod keeper;
mod mongod;
mod rabbitmq;
mod supervisor;
mod temporal;

pub use component::Component;
pub use event::{Event, Events};
pub use home::Home;
pub use process::Priority;
pub use servers::{Server, Servers, ServersConfig};
pub use services::Service;
pub use stack::{Stack, StackConfig};
pub use state::{Row, State, Status};
