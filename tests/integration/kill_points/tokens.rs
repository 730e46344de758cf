//! A token per point: a file that whoever acts at the point removes.

use std::path::PathBuf;

use tempfile::TempDir;

pub(crate) struct Tokens {
    dir: TempDir,
    points: Vec<String>,
}

impl Tokens {
    pub(crate) fn new(points: impl Iterator<Item = String>) -> Self {
        let tokens = Self { dir: tempfile::tempdir().unwrap(), points: points.collect() };
        for point in &tokens.points {
            std::fs::write(tokens.file(point), "").unwrap();
        }
        tokens
    }

    /// The value of `FAILPOINTS`: the act, once at each point.
    pub(crate) fn armed(&self, act: &str) -> String {
        let arm = |point: &String| format!("{point}=return({act}@{})", self.file(point).display());
        self.points.iter().map(arm).collect::<Vec<_>>().join(";")
    }

    /// The same, from the `passes` + 1st time on that a process comes by.
    pub(crate) fn armed_after(&self, passes: usize, act: &str) -> String {
        self.armed(act).replace("=return", &format!("={passes}*off->return"))
    }

    /// The points nobody has acted at yet.
    pub(crate) fn left(&self) -> Vec<String> {
        self.points.iter().filter(|point| self.file(point).exists()).cloned().collect()
    }

    fn file(&self, point: &str) -> PathBuf {
        self.dir.path().join(point)
    }
}
