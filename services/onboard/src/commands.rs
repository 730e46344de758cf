//! One file per subcommand.

mod actor;
pub(crate) mod audit;
pub(crate) mod bench;
pub(crate) mod calibrate;
pub(crate) mod chaos;
pub(crate) mod config;
pub(crate) mod consumers;
pub(crate) mod control;
pub(crate) mod doctor;
pub(crate) mod env;
pub(crate) mod guard;
pub(crate) mod keys;
pub(crate) mod list;
mod management;
mod operate;
mod place;
pub(crate) mod probe;
pub(crate) mod redrive;
pub(crate) mod service;
pub(crate) mod setup;
pub(crate) mod show;
pub(crate) mod signals;
pub(crate) mod target;
pub(crate) mod up;
pub(crate) mod users;
