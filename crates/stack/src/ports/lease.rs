//! A free port, ours until the lease is dropped.

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::PathBuf;

use anyhow::bail;

const FIRST: u16 = 18_000;
const LAST: u16 = 31_999;
const TRIES: u16 = 200;

/// A port that no other stack on this machine chooses while this lives.
#[derive(Debug)]
pub struct Lease {
    port: u16,
    lock: Option<File>,
}

/// A child that is being started has a copy of the file until it executes its program, and
/// the lock belongs to both: so it is undone, not left to the closing of the file.
impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(lock) = &self.lock {
            lock.unlock().ok();
        }
    }
}

impl Lease {
    /// Any free port.
    ///
    /// # Errors
    /// When two hundred ports in a row are taken.
    pub fn any() -> anyhow::Result<Self> {
        let span = LAST - FIRST + 1;
        let start = RandomState::new().build_hasher().finish() % u64::from(span);
        let start = u16::try_from(start).unwrap_or(0);
        for step in 0..TRIES {
            let port = FIRST + (start + step) % span;
            if let Some(lease) = Self::of(port) {
                return Ok(lease);
            }
        }
        bail!("no free port found from {} on", FIRST + start);
    }

    /// This port, when it is free.
    #[must_use]
    pub fn of(port: u16) -> Option<Self> {
        let lock = match open(port) {
            Some(file) => {
                file.try_lock().ok()?;
                Some(file)
            }
            // No place for lock files: the port being free must do.
            None => None,
        };
        let lease = Self { port, lock };
        super::is_free(port).then_some(lease)
    }

    /// Its number.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn open(port: u16) -> Option<File> {
    let uid = rustix::process::getuid().as_raw();
    let dir: PathBuf = std::env::temp_dir().join(format!("onboard-ports-{uid}"));
    std::fs::create_dir_all(&dir).ok()?;
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(dir.join(port.to_string()))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_although_a_child_still_has_its_file() {
        let lease = Lease::any().unwrap();
        let port = lease.port();
        let _of_the_child = lease.lock.as_ref().unwrap().try_clone().unwrap();
        drop(lease);
        assert!(Lease::of(port).is_some());
    }
}
