//! `onboard guard <parent-pid> [--background] [--sha256 <hex>] [--folder <path>]… -- command…`:
//! runs a command that the kernel kills when the process that started it is gone, however it
//! went. A command from the cache, and its libraries, are compared first with what was installed
//! there.
//!
//! The wish (`PR_SET_PDEATHSIG`) outlives `exec`, so the command itself needs
//! to know nothing, and no unsafe `pre_exec` is needed.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::getppid;

use crate::install::{folder, whole};
use crate::process::{Check, Priority};

/// A thirtieth of the share of others, while they want it all.
const BACKGROUND_NICE: i32 = 15;

/// Becomes `command`; returns only when that is not possible.
///
/// # Errors
/// When the parent is already gone, the command is not what was installed, or it cannot be
/// executed.
pub fn exec(
    parent_pid: u32,
    priority: Priority,
    checks: &[Check],
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
    for check in checks {
        match check {
            Check::Sha256(sha256) => whole::check(Path::new(program), sha256)
                .with_context(|| refusal(&program.to_string_lossy()))?,
            Check::Folder(root) => {
                folder::check(root).with_context(|| refusal(&root.to_string_lossy()))?;
            }
        }
    }
    let error = Command::new(program).args(args).exec();
    Err(error).with_context(|| format!("guard: {} cannot be executed", program.display()))
}

fn refusal(place: &str) -> String {
    format!(
        "guard: {place} was changed after its installation and is not started; `onboard up` installs it anew"
    )
}
