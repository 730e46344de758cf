//! Whether an executable in the cache is the one that was unpacked there.
//!
//! Its size, its rights and its SHA-256 are looked at whenever a stack starts, and the guard
//! computes the SHA-256 again before it becomes the executable. Nothing is remembered: what
//! stands beside an executable can be changed together with it.

use std::fmt::Write as _;
use std::fs::{File, Metadata, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

const EXECUTABLE: u32 = 0o111;

/// What an executable is, byte for byte.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    pub(super) bytes: u64,
    pub(super) sha256: &'static str,
}

/// What stands in an executable's place.
#[derive(Debug)]
pub(super) enum Found {
    /// The executable, whole.
    Whole,
    /// Nothing.
    Nothing,
    /// Something else, and what is wrong with it.
    Damaged(String),
}

impl Expected {
    /// Looks. A right that is missing is given back to a file that is whole otherwise.
    pub(super) fn look(self, file: &Path) -> Found {
        let meta = match std::fs::metadata(file) {
            Ok(meta) => meta,
            Err(_) if file.symlink_metadata().is_err() => return Found::Nothing,
            Err(error) => return Found::Damaged(format!("cannot be read: {error}")),
        };
        if !meta.is_file() {
            return Found::Damaged("is no file".to_owned());
        }
        if meta.len() != self.bytes {
            return Found::Damaged(format!("has {} bytes instead of {}", meta.len(), self.bytes));
        }
        match check(file, self.sha256).and_then(|()| allow(file, &meta)) {
            Ok(()) => Found::Whole,
            Err(error) => Found::Damaged(format!("{error:#}")),
        }
    }
}

fn allow(file: &Path, meta: &Metadata) -> anyhow::Result<()> {
    let mode = meta.permissions().mode();
    if mode & EXECUTABLE == EXECUTABLE {
        return Ok(());
    }
    std::fs::set_permissions(file, Permissions::from_mode(mode | 0o755))
        .context("is not executable, and cannot be made so")
}

/// Whether a file has this SHA-256.
pub(crate) fn check(file: &Path, wanted: &str) -> anyhow::Result<()> {
    let found = sha256(file)?;
    if found != wanted {
        bail!("is not what was pinned: SHA-256 {found}, wanted {wanted}");
    }
    Ok(())
}

/// The SHA-256 of a file, in hexadecimal.
pub(super) fn sha256(file: &Path) -> anyhow::Result<String> {
    let mut hasher = Sha256::new();
    let mut from = File::open(file).context("cannot be read")?;
    let mut chunk = vec![0_u8; 1 << 18];
    loop {
        let len = std::io::Read::read(&mut from, &mut chunk).context("cannot be read")?;
        let Some(bytes) = chunk.get(..len).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        hasher.update(bytes);
    }
    Ok(hasher.finalize().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        write!(hex, "{byte:02x}").ok();
        hex
    }))
}

/// Whether a file may be a program: it holds something and may be executed.
pub(super) fn may_run(file: &Path) -> bool {
    let runs = |meta: Metadata| {
        meta.is_file() && meta.len() > 0 && meta.permissions().mode() & EXECUTABLE != 0
    };
    std::fs::metadata(file).is_ok_and(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4, example of SHA-256.
    const ABC: Expected = Expected {
        bytes: 3,
        sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    };

    fn damage(file: &Path) -> String {
        match ABC.look(file) {
            Found::Damaged(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_that_is_not_what_was_unpacked_is_damaged_and_says_how() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("abc");
        assert!(matches!(ABC.look(&file), Found::Nothing));
        std::fs::write(&file, "abc").unwrap();
        assert!(matches!(ABC.look(&file), Found::Whole), "and it may be executed now");
        assert!(may_run(&file));
        for (now, why) in [("", "has 0 bytes"), ("ab", "has 2 bytes"), ("abd", "SHA-256")] {
            std::fs::write(&file, now).unwrap();
            let said = damage(&file);
            assert!(said.contains(why), "{said}");
        }
        std::fs::write(&file, "abc").unwrap();
        assert!(matches!(ABC.look(&file), Found::Whole));
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        assert_eq!(damage(&file), "is no file");
    }

    #[test]
    fn a_download_with_another_digest_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("abc");
        std::fs::write(&file, "abc").unwrap();
        check(&file, ABC.sha256).unwrap();
        assert!(check(&file, "00").is_err());
    }
}
