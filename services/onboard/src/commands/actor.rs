//! Who runs a tool that changes something: kept with what it changes.

use nix::unistd::{Uid, User};
use onboard_runtime::host;

/// Who acts.
#[derive(Debug, clap::Args)]
pub(crate) struct ActorArgs {
    /// Who. Kept with every act. Default: user@host of the operating system.
    #[arg(long, value_name = "NAME", env = "ONBOARD_ACTOR")]
    actor: Option<String>,
}

impl ActorArgs {
    /// The name that is kept.
    pub(crate) fn name(&self) -> String {
        match &self.actor {
            Some(actor) if !actor.trim().is_empty() => actor.clone(),
            Some(_) | None => format!("{}@{}", user(), host::name()),
        }
    }
}

/// The user of the operating system, whatever the environment says; the number where the
/// user has no name.
fn user() -> String {
    let uid = Uid::current();
    match User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        Ok(None) | Err(_) => format!("uid-{uid}"),
    }
}
