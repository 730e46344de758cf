//! Whether a folder of the cache is as it was unpacked.
//!
//! `record` writes `<folder>.sha256` before the folder is put in place: one line for each
//! file with its SHA-256, its rights and its path. `check` computes the lines again. apt has
//! compared the packages with Debian's signed lists before. A process that dies between the
//! record and the move leaves a record that the next installation replaces.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::whole::sha256;

/// What is recorded of each file, by its path in the folder.
type Files = BTreeMap<String, String>;

/// Makes an unpacked folder, with its record, the one at `root`.
///
/// A folder that is there already changes places with the new one in one step, since a server may
/// run on it: it finds each of its files at any time, and keeps those that it has open. The old
/// folder then lies where the new one was unpacked, for the caller to remove.
pub(super) fn put_in_place(unpacked: &Path, root: &Path) -> anyhow::Result<()> {
    record(unpacked, root)?;
    let moved = if root.exists() {
        renameat2(AT_FDCWD, unpacked, AT_FDCWD, root, RenameFlags::RENAME_EXCHANGE)
            .map_err(std::io::Error::from)
            .or_else(|_| two_steps(unpacked, root))
    } else {
        std::fs::rename(unpacked, root)
    };
    moved.with_context(|| format!("{} cannot be put in place", root.display()))
}

/// For file systems that cannot exchange: the place is empty for a moment.
fn two_steps(unpacked: &Path, root: &Path) -> std::io::Result<()> {
    std::fs::rename(root, unpacked.with_added_extension("old"))?;
    std::fs::rename(unpacked, root)
}

/// Writes what `unpacked` holds as the record of `root`, its later place.
fn record(unpacked: &Path, root: &Path) -> anyhow::Result<()> {
    let mut files = Files::new();
    look(unpacked, "", &mut files)?;
    let lines = files.iter().map(|(path, said)| format!("{said} {path}\n"));
    let record = record_of(root);
    std::fs::write(&record, lines.collect::<String>())
        .with_context(|| format!("{} cannot be written", record.display()))
}

/// Compares a folder with its record.
///
/// # Errors
/// When they differ; names a file.
pub(crate) fn check(root: &Path) -> anyhow::Result<()> {
    let record = std::fs::read_to_string(record_of(root)).context("has no record of its files")?;
    let line = |line: &str| {
        let mut parts = line.splitn(3, ' ');
        let said = format!("{} {}", parts.next()?, parts.next()?);
        Some((parts.next()?.to_owned(), said))
    };
    let mut recorded: Files = record.lines().filter_map(line).collect();
    let mut files = Files::new();
    look(root, "", &mut files)?;
    for (path, said) in files {
        match recorded.remove(&path) {
            Some(before) if before == said => {}
            Some(_) => bail!("was changed after its installation: {path}"),
            None => bail!("was changed after its installation: {path} was added"),
        }
    }
    match recorded.pop_first() {
        Some((path, _)) => bail!("was changed after its installation: {path} is gone"),
        None => Ok(()),
    }
}

fn record_of(root: &Path) -> PathBuf {
    root.with_added_extension("sha256")
}

/// Adds each file and link below `dir`, whose path in the folder is `path`.
fn look(dir: &Path, path: &str, files: &mut Files) -> anyhow::Result<()> {
    let cannot = || format!("{} cannot be read", dir.display());
    for entry in std::fs::read_dir(dir).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        let (file, meta) = (entry.path(), entry.metadata().with_context(cannot)?);
        let path = format!("{path}/{}", entry.file_name().display());
        if meta.is_dir() {
            look(&file, &path, files)?;
        } else if meta.is_symlink() {
            let to = std::fs::read_link(&file).with_context(cannot)?;
            files.insert(path, format!("link {}", to.display().to_string().replace(' ', "%20")));
        } else {
            let sha256 = sha256(&file).with_context(|| file.display().to_string())?;
            files.insert(path, format!("{sha256} {:o}", meta.permissions().mode() & 0o7777));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// A folder with many files, so that to remove it takes a while.
    fn unpack(into: &Path, content: &str) -> PathBuf {
        let root = into.join("root");
        std::fs::create_dir_all(&root).unwrap();
        for number in 0..300 {
            std::fs::write(root.join(number.to_string()), content).unwrap();
        }
        root
    }

    #[test]
    fn a_folder_that_a_server_may_run_on_is_replaced_in_one_step() {
        let cache = tempfile::tempdir().unwrap();
        let root = cache.path().join("tool");
        put_in_place(&unpack(cache.path(), "old"), &root).unwrap();
        std::fs::write(root.join("299"), "damaged").unwrap();
        assert!(check(&root).is_err());

        let (file, done) = (root.join("0"), AtomicBool::new(false));
        let missed = std::thread::scope(|scope| {
            let server = scope.spawn(|| {
                let mut missed = 0;
                while !done.load(Ordering::Relaxed) {
                    missed += u32::from(std::fs::read(&file).is_err());
                }
                missed
            });
            for _ in 0..20 {
                let work = tempfile::tempdir_in(&cache).unwrap();
                put_in_place(&unpack(work.path(), "new"), &root).unwrap();
            }
            done.store(true, Ordering::Relaxed);
            server.join().unwrap()
        });
        assert_eq!(missed, 0, "the file was missing for a moment");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "new");
        check(&root).unwrap();

        // Also where the two cannot be exchanged.
        let work = tempfile::tempdir_in(&cache).unwrap();
        let unpacked = unpack(work.path(), "newer");
        two_steps(&unpacked, &root).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "newer");
        assert!(!unpacked.exists() && work.path().join("root.old/0").exists());
    }

    #[test]
    fn a_folder_that_is_not_as_it_was_unpacked_says_what_differs() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("copy");
        std::fs::create_dir_all(root.join("lib")).unwrap();
        std::fs::write(root.join("lib/a file"), "a").unwrap();
        std::os::unix::fs::symlink("lib/a file", root.join("link")).unwrap();
        let said = || format!("{:#}", check(&root).unwrap_err());
        assert!(said().contains("no record"), "{}", said());
        record(&root, &root).unwrap();
        check(&root).unwrap();

        std::fs::write(root.join("lib/a file"), "b").unwrap();
        assert!(said().ends_with("installation: /lib/a file"), "{}", said());
        std::fs::write(root.join("lib/a file"), "a").unwrap();
        std::fs::write(root.join("lib/more"), "").unwrap();
        assert!(said().ends_with("/lib/more was added"), "{}", said());
        std::fs::remove_file(root.join("lib/more")).unwrap();
        check(&root).unwrap();

        std::fs::set_permissions(root.join("lib/a file"), PermissionsExt::from_mode(0o777))
            .unwrap();
        assert!(said().ends_with("installation: /lib/a file"), "{}", said());
        std::fs::remove_file(root.join("lib/a file")).unwrap();
        assert!(said().ends_with("/lib/a file is gone"), "{}", said());
        record(&root, &root).unwrap();
        std::fs::remove_file(root.join("link")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", root.join("link")).unwrap();
        assert!(said().ends_with("installation: /link"), "{}", said());
    }
}
