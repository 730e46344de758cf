//! One file per subcommand.

pub(crate) mod control;
pub(crate) mod guard;
pub(crate) mod probe;
pub(crate) mod service;
pub(crate) mod setup;
pub(crate) mod up;
