//! `onboard-under-test together <service> [NAME=VALUE …] <service> …`: several
//! services in one process, as a test needs them that breaks none of them.
//!
//! Each is what it is in a process of its own, with its settings from
//! this process's environment and from the NAME=VALUE behind its name. They
//! share the runtime, the log and `/metrics`. One that ends ends all.

use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use clap::Command;
use futures::future::try_join_all;
use onboard::services::{self, Running};
use onboard_runtime::telemetry::{self, LogFormat};
use onboard_runtime::{Problems, Shutdown, Tasks, lifecycle};

/// Runs the services that `words` name, until a signal or the first that ends.
pub(crate) fn run(words: &[String]) -> anyhow::Result<ExitCode> {
    telemetry::install(LogFormat::Json, None);
    onboard::metrics::install();
    let shutdown = Shutdown::new();
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        lifecycle::listen_for_signals(&Tasks::new(shutdown.clone()))?;
        let services = words
            .chunk_by(|_, next| next.contains('='))
            .map(|words| start(words, &shutdown))
            .collect::<anyhow::Result<Vec<_>>>()?;
        try_join_all(services).await
    })?;
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

fn start(words: &[String], shutdown: &Shutdown) -> anyhow::Result<Running> {
    let [name, settings @ ..] = words else { bail!("no service is named") };
    let service = services::find(name).with_context(|| format!("{name} is no service"))?;
    let command = service.augment(Command::new("service").no_binary_name(true));
    let flags = settings.iter().map(|setting| flag(&command, setting));
    let flags = flags.collect::<anyhow::Result<Vec<_>>>()?;
    let mut problems = Problems::default();
    let start = service.check(&command.try_get_matches_from(flags)?, &mut problems);
    let running = problems.finish(start)?(shutdown.clone());
    Ok(ending(running, shutdown.clone()))
}

/// The service; the others end with it.
fn ending(service: Running, shutdown: Shutdown) -> Running {
    Box::pin(async move {
        let ended = service.await;
        shutdown.begin();
        ended
    })
}

/// `NAME=VALUE` as the flag that says the same, for this service alone.
fn flag(command: &Command, setting: &str) -> anyhow::Result<String> {
    let (name, value) = setting.split_once('=').context("a setting is NAME=VALUE")?;
    let mut all = command.get_arguments();
    let arg = all.find(|arg| arg.get_env().is_some_and(|variable| variable == name));
    let long = arg.and_then(clap::Arg::get_long);
    ensure!(long.is_some(), "{name} has no flag: give the service a process of its own");
    Ok(format!("--{}={value}", long.unwrap_or_default()))
}
