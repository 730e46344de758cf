//! Who runs a tool that changes something: kept with what it changes.

use onboard_runtime::host;

/// Who acts.
#[derive(Debug, clap::Args)]
pub(crate) struct ActorArgs {
    /// Who. Kept with every act. Default: user@host.
    #[arg(long, value_name = "NAME", env = "ONBOARD_ACTOR")]
    actor: Option<String>,
    #[arg(long, env = "USER", hide = true)]
    user: Option<String>,
}

impl ActorArgs {
    /// The name that is kept.
    pub(crate) fn name(&self) -> String {
        match &self.actor {
            Some(actor) if !actor.trim().is_empty() => actor.clone(),
            Some(_) | None => somebody(self.user.as_deref()),
        }
    }
}

fn somebody(user: Option<&str>) -> String {
    format!("{}@{}", user.unwrap_or("unknown"), host::name())
}
