//! `onboard guard <parent-pid> [--background] -- command…`: runs a command that the kernel
//! kills when the process that started it is gone, however it went.
//!
//! The wish (`PR_SET_PDEATHSIG`) outlives `exec`, so the command itself needs
//! to know nothing, and no unsafe `pre_exec` is needed.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, bail};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::getppid;

use crate::process::Priority;

/// A thirtieth of the share of others, while they want it all.
const BACKGROUND_NICE: i32 = 15;

/// Becomes `command`; returns only when that is not possible.
///
/// # Errors
/// When the parent is already gone, or the command cannot be executed.
pub fn exec(
    parent_pid: u32,
    priority: Priority,
    command: &[OsString],
) -> anyhow::Result<std::convert::Infallible> {
    let Some((program, args)) = command.split_first() else {
        bail!("guard: no command given");
    };
    set_pdeathsig(Signal::SIGKILL).context("guard: the kernel refused the parent death signal")?;
    // The parent may have died before the line above took effect.
    if u32::try_from(getppid().as_raw()) != Ok(parent_pid) {
        bail!("guard: the process {parent_pid} that started this is gone");
    }
    if priority == Priority::Background {
        // Where it is refused everything merely has the same share.
        rustix::process::nice(BACKGROUND_NICE).ok();
    }
    let error = Command::new(program).args(args).exec();
    Err(error).with_context(|| format!("guard: {} cannot be executed", program.display()))
}
