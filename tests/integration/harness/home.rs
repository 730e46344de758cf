//! A directory of one test.

use std::path::Path;

use tempfile::TempDir;

/// Goes with the test; that of a test that fails is kept and named.
pub(crate) struct Home(Option<TempDir>);

impl Home {
    /// A new one, `onboard-<what>-…` among the temporary files.
    pub(crate) fn new(what: &str) -> Self {
        let prefix = format!("onboard-{what}-");
        Self(Some(tempfile::Builder::new().prefix(&prefix).tempdir().unwrap()))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.as_ref().expect("it is there until it is dropped").path()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(home) = self.0.take().filter(|_| std::thread::panicking()) {
            eprintln!("data and logs of this test are kept in {}", home.keep().display());
        }
    }
}
