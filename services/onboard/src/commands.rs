//! One file per subcommand.

pub(crate) mod control;
pub(crate) mod up;
