//! Who runs a tool that changes something: kept with what it changes.

/// Where the kernel says what this machine is called.
const HOSTNAME: &str = "/proc/sys/kernel/hostname";

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
    let host = std::fs::read_to_string(HOSTNAME).unwrap_or_default();
    let host = if host.trim().is_empty() { "localhost" } else { host.trim() };
    format!("{}@{host}", user.unwrap_or("unknown"))
}
