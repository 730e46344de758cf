//! `onboard up`: the whole system on this machine.

/// Arguments of `onboard up`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct UpArgs {
    /// Wipe the data of earlier runs first.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// `default` takes the documented ports, `free` picks free ones.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) ports: Ports,
}

/// How `onboard up` chooses its ports.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub(crate) enum Ports {
    /// The documented ports.
    #[default]
    Default,
    /// Any free ports; `onboard status` names them.
    Free,
}

/// Starts everything and stays until it is told to stop.
pub(crate) fn run(args: UpArgs) -> anyhow::Result<std::process::ExitCode> {
    let UpArgs { fresh: _, ports: _ } = args;
    anyhow::bail!("not built yet")
}
