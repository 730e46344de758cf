//! The directory one stack lives in, and the lock that keeps it to one
//! process at a time.
//!
//! The lock is the kernel's (`flock`): it ends with the process, so a number
//! left behind in the file can never lock anybody out.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use uuid::Uuid;

use crate::ports::Ports;
use crate::servers::Server;

const PORTS: &str = "ports.json";
const SECRET: &str = "secret";
const MARK: &str = ".onboard-home";
const MARK_TEXT: &str =
    "Made by `onboard up`; `onboard up --fresh` empties data/ beside this file.\n";

/// A locked state directory.
#[derive(Debug)]
pub struct Home {
    dir: PathBuf,
    _lock: File,
}

impl Home {
    /// Makes the directory when it is missing and takes its lock.
    ///
    /// # Errors
    /// When another process holds it (named), or it cannot be made.
    pub fn claim(dir: &Path) -> anyhow::Result<Self> {
        make(dir)?;
        let dir =
            dir.canonicalize().with_context(|| format!("{} is not a directory", dir.display()))?;
        let lock = lock(&dir)?;
        write(&dir.join(MARK), MARK_TEXT)?;
        write(&dir.join(".gitignore"), "*\n")?;
        make(&dir.join("logs"))?;
        make_secret(&dir.join(SECRET))?;
        Ok(Self { dir, _lock: lock })
    }

    /// The process that holds the lock of `dir`, if any.
    #[must_use]
    pub fn holder(dir: &Path) -> Option<u32> {
        let mut file = OpenOptions::new().read(true).write(true).open(dir.join("lock")).ok()?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Some(read_pid(&mut file).unwrap_or(0)),
            Ok(()) | Err(TryLockError::Error(_)) => None,
        }
    }

    /// The directory, absolute.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file that remembers the ports of the last run.
    #[must_use]
    pub fn ports_file(&self) -> PathBuf {
        self.dir.join(PORTS)
    }

    /// The file of the stack's own secret, random and for its owner only.
    #[must_use]
    pub fn secret_file(&self) -> PathBuf {
        Self::secret_of(&self.dir)
    }

    /// The file of the secret of the stack on `dir`.
    #[must_use]
    pub fn secret_of(dir: &Path) -> PathBuf {
        dir.join(SECRET)
    }

    /// The ports of the stack that runs on `dir`, if one does.
    #[must_use]
    pub fn running(dir: &Path) -> Option<Ports> {
        Self::holder(dir)?;
        Ports::last(&dir.join(PORTS))
    }

    /// The log of one component.
    #[must_use]
    pub fn log(&self, component: &str) -> PathBuf {
        self.dir.join("logs").join(format!("{component}.log"))
    }

    /// The data directory of one component, made when it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn data(&self, component: &str) -> anyhow::Result<PathBuf> {
        let dir = self.dir.join("data").join(component);
        make(&dir)?;
        Ok(dir)
    }

    /// Removes the data of earlier runs.
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub fn wipe(&self) -> anyhow::Result<()> {
        for component in Server::ALL.map(Server::name) {
            let dir = self.dir.join("data").join(component);
            if dir.exists() {
                std::fs::remove_dir_all(&dir)
                    .with_context(|| format!("{} cannot be removed", dir.display()))?;
            }
        }
        Ok(())
    }
}

fn lock(dir: &Path) -> anyhow::Result<File> {
    let path = dir.join("lock");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .with_context(|| format!("{} cannot be opened", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!(
            "already running on {} as process {}; `onboard down` stops it",
            dir.display(),
            read_pid(&mut file).map_or_else(|| "?".to_owned(), |pid| pid.to_string())
        ),
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("{} cannot be locked", path.display()));
        }
    }
    file.set_len(0).and_then(|()| file.rewind()).context("the lock file cannot be written")?;
    writeln!(file, "{}", std::process::id()).context("the lock file cannot be written")?;
    Ok(file)
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Made once: what was signed or wrapped before a restart stays good after it.
fn make_secret(path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let text = format!("{}{}\n", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("{} cannot be made", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))
}

fn make(dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("{} cannot be made", dir.display()))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_claim_is_refused_naming_the_holder_and_a_third_after_the_end_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let first = Home::claim(dir.path()).unwrap();
        let refused = Home::claim(dir.path()).unwrap_err().to_string();
        assert!(refused.contains(&std::process::id().to_string()), "{refused}");
        assert_eq!(Home::holder(dir.path()), Some(std::process::id()));
        drop(first);
        assert_eq!(Home::holder(dir.path()), None);
        Home::claim(dir.path()).unwrap();
    }

    #[test]
    fn wiping_removes_the_data_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::claim(dir.path()).unwrap();
        let data = home.data("mongo").unwrap();
        let other = home.data("keys").unwrap();
        home.wipe().unwrap();
        assert!(!data.exists());
        assert!(other.exists());
    }
}
