//! Who may use the machine. A stack under `onboard up` runs Temporal with `nice`
//! 15 (ADR 0031): beside tests that keep every core busy it stands still. So
//! such tests run one at a time, and no such stack runs meanwhile.

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

static MACHINE: RwLock<()> = RwLock::const_new(());

/// For a test that keeps every core busy: waits until it is the only one.
pub(crate) async fn whole_machine() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().await
}

/// For a stack under `onboard up`: waits until no test keeps every core busy.
pub(super) async fn part_of_the_machine() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().await
}
