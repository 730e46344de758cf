//! Who runs a tool that changes something: kept with what it changes, and said to standard
//! error whatever is logged.

use std::time::Duration;

use nix::unistd::{Uid, User};
use onboard_auth::store::{By, EventKind, Witness};
use onboard_runtime::clock::millis;
use onboard_runtime::host;

use super::operate::complain;

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
            Some(_) | None => os_user(),
        }
    }

    /// Who acts, as a security event has it.
    pub(crate) fn witness(&self, kept: Duration) -> Witness {
        let by = By::Operator { actor: self.name(), os_user: os_user() };
        Witness { by, kept_ms: millis(kept) }
    }
}

/// Whoever the operating system says it is, as a security event has it.
pub(crate) fn os_witness(kept: Duration) -> Witness {
    let by = By::Operator { actor: os_user(), os_user: os_user() };
    Witness { by, kept_ms: millis(kept) }
}

/// Says what was recorded, whatever is logged.
pub(crate) fn tell(kind: EventKind, what: &str, witness: &Witness) {
    if let By::Operator { actor, os_user } = &witness.by {
        complain(&format!("recorded {kind}: {what}, by {actor} (as {os_user})"));
    }
}

/// The user of the operating system and the machine.
fn os_user() -> String {
    format!("{}@{}", user(), host::name())
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
