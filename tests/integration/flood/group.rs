//! A cgroup with a memory limit, below the one that the tests run in.

use std::path::{Path, PathBuf};

use uuid::Uuid;

/// A group that a process may be put in.
pub(super) struct Group(PathBuf);

impl Group {
    /// A new group; none where this machine lets nobody make one.
    pub(super) fn with(limit: u64) -> Option<Self> {
        let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        groups.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            let (root, file) = match controllers {
                "" => ("/sys/fs/cgroup", "memory.max"),
                "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
                _ => return None,
            };
            Self::below(&Path::new(root).join(path.trim_start_matches('/')), file, limit)
        })
    }

    fn below(parent: &Path, file: &str, limit: u64) -> Option<Self> {
        let group = Self(parent.join(format!("onboard-{}", Uuid::new_v4().simple())));
        std::fs::create_dir(&group.0).ok()?;
        // Not where the controller is another's.
        let limited = group.0.join(file).exists()
            && std::fs::write(group.0.join(file), limit.to_string()).is_ok();
        if limited { Some(group) } else { group.remove().err().and(None) }
    }

    /// The file that a process writes its id to.
    pub(super) fn procs(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }

    /// Removes it, once nothing runs in it.
    pub(super) fn remove(&self) -> std::io::Result<()> {
        std::fs::remove_dir(&self.0)
    }
}
