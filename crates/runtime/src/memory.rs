//! What this process keeps others from reading: its memory.
//!
//! A process that may be dumped leaves its passwords and keys in a core file, and every process
//! of the same user can read them while it runs. What is freed is wiped by the program's
//! allocator; what a computation leaves on its stack is wiped here. Nothing survives the process.

use std::hint::black_box;

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Deeper than hashing a password reaches, in bytes.
const STACK_BYTES: usize = 64 * 1024;

/// The kernel refused to keep the memory private.
#[derive(Debug, thiserror::Error)]
pub enum NotPrivate {
    /// Others of the same user can attach, and read `/proc/<pid>/mem`.
    #[error("the process stays dumpable: others of its user can read its memory")]
    Dumpable(#[source] Errno),
    /// A crash may write the memory to a file.
    #[error("the limit of core files stays")]
    Core(#[source] Errno),
}

/// Makes the process undumpable (prctl(2), `PR_SET_DUMPABLE`) and forbids core files. Holds for
/// this process and not for a program that it executes.
///
/// # Errors
/// The kernel refuses; the process can run all the same.
pub fn keep_private() -> Result<(), NotPrivate> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(NotPrivate::Dumpable)?;
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).map_err(NotPrivate::Core)
}

/// Overwrites the part of this thread's stack that a computation with a secret has just used.
#[inline(never)]
pub fn wipe_stack() {
    #[expect(clippy::large_stack_arrays, reason = "the stack is what is wiped")]
    let mut below = [0_u8; STACK_BYTES];
    black_box(&mut below);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{dumpable_behavior, getrlimit};

    #[test]
    fn nobody_of_the_same_user_reads_the_memory_and_no_crash_writes_it() {
        keep_private().unwrap();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        let Rlimit { current, maximum } = getrlimit(Resource::Core);
        assert_eq!((current, maximum), (Some(0), Some(0)));
    }
}
