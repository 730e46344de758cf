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

use super::whole::sha256;

/// What is recorded of each file, by its path in the folder.
type Files = BTreeMap<String, String>;

/// Writes what `unpacked` holds as the record of `root`, its later place.
pub(super) fn record(unpacked: &Path, root: &Path) -> anyhow::Result<()> {
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

    use super::*;

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
