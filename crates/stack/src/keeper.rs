//! The one thread that starts and supervises every child process.
//!
//! A child asks the kernel to die with its parent, and for the kernel the
//! parent is the *thread* that started it. Tests call this library from
//! threads that end long before their servers should, so all starting is done
//! here: on a thread owned by a static, which ends only with the process.

use std::sync::OnceLock;

use anyhow::{Context as _, anyhow};
use tokio::runtime::{Builder, Handle};

static KEEPER: OnceLock<Result<Handle, String>> = OnceLock::new();

/// The keeper's runtime; the thread is started at first use.
pub(crate) fn keeper() -> anyhow::Result<&'static Handle> {
    KEEPER
        .get_or_init(|| start().map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|error| anyhow!("the thread that keeps the processes did not start: {error}"))
}

fn start() -> anyhow::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build().context("no runtime")?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name("stack-keeper".to_owned())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))
        .context("no thread")?;
    Ok(handle)
}
