//! The state directory of a run on a stack of its own: one that holds nothing of anybody.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use onboard_runtime::clock;

/// An empty state directory.
#[derive(Debug)]
pub(super) struct Place {
    dir: PathBuf,
}

impl Place {
    /// The directory that was asked for, or a new one; `None` when something
    /// is in it.
    pub(super) fn choose(what: &str, home: Option<PathBuf>) -> anyhow::Result<Option<Self>> {
        let dir = home.unwrap_or_else(|| {
            std::env::temp_dir().join(format!("onboard-{what}-{}", clock::random_id().simple()))
        });
        std::fs::create_dir_all(&dir)
            .with_context(|| format!("{} cannot be made", dir.display()))?;
        let mut entries =
            dir.read_dir().with_context(|| format!("{} cannot be read", dir.display()))?;
        Ok(entries.next().is_none().then_some(Self { dir }))
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Removes it with everything the run has put there.
    pub(super) fn remove(self) {
        // What cannot be removed is left to the temporary files' cleaner.
        std::fs::remove_dir_all(&self.dir).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_with_something_in_it_is_refused_and_left_alone() {
        let fresh = Place::choose("test", None).unwrap().unwrap();
        let dir = fresh.dir().to_owned();
        std::fs::write(dir.join("mine"), "").unwrap();
        assert!(Place::choose("test", Some(dir.clone())).unwrap().is_none());
        assert!(dir.join("mine").exists());
        fresh.remove();
        assert!(!dir.exists());
    }
}
