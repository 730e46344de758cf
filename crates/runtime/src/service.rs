//! What a service is to the program that runs it, and to all that start it,
//! watch it or deploy it.
//!
//! Everything about a service that others need is named here once, by the
//! service itself. The trait keeps nothing: a process that dies loses nothing
//! of it.

use std::time::Duration;

use crate::{Metric, Problems, Shutdown};

/// A service: one process of the system.
pub trait Service {
    /// Its subcommand, and its component in `onboard status`.
    const NAME: &'static str;
    /// One line for `onboard --help`.
    const ABOUT: &'static str;
    /// The port of its HTTP by default.
    const PORT: u16;
    /// The port of health and metrics in production, where `PORT` has an API; none: `PORT`.
    const MANAGEMENT_PORT: Option<u16>;
    /// How long a stop may take, `SHUTDOWN_DELAY` apart.
    const STOP_MAX: Duration;
    /// What its process records, without the metrics of every process.
    const METRICS: &'static [&'static [Metric]];

    /// Its settings as text.
    type Args: clap::Args;
    /// Its checked settings.
    type Config: 'static;
    /// Why it does not run.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Checks all settings; `None` when the problems leave no usable ones.
    fn check(args: Self::Args, problems: &mut Problems) -> Option<Self::Config>;

    /// Runs until the shutdown begins and the work in flight has ended.
    ///
    /// # Errors
    /// The service cannot run. A server that is unavailable is no error.
    fn run(
        config: Self::Config,
        shutdown: Shutdown,
    ) -> impl Future<Output = Result<(), Self::Error>>;
}
