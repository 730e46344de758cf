//! How much memory the platform gives this process (cgroups(7)), and whether its settings fit.
//!
//! The kernel kills a process that needs more. So a service adds up what its settings allow
//! clients to make it use, and warns at its start when that is more than it may have.

use std::path::Path;

use crate::Problems;

const MOUNT: &str = "/sys/fs/cgroup";
/// Version 1 writes "no limit" as a number near 2^63.
const NO_LIMIT: u64 = 1 << 60;
const MIB: u64 = 1024 * 1024;

/// What a process may use at most, part by part.
#[derive(Debug, Clone, Default)]
pub struct MemoryNeeds(Vec<(&'static str, u64)>);

impl MemoryNeeds {
    /// With a part: the setting that bounds it, or what it is, and bytes.
    #[must_use]
    pub fn with(mut self, part: &'static str, bytes: u64) -> Self {
        self.0.push((part, bytes));
        self
    }

    /// All parts together, in bytes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes))
    }

    /// Warns when it is more than the platform gives.
    pub fn compare(&self, limit: Option<u64>, problems: &mut Problems) {
        let total = self.total();
        let Some(limit) = limit.filter(|limit| *limit < total) else { return };
        let part = |(part, bytes): &(&str, u64)| format!("{part} {} MiB", bytes.div_ceil(MIB));
        let parts: Vec<String> = self.0.iter().map(part).collect();
        problems.warn(
            "memory",
            format!(
                "a flood may take {} MiB and the limit is {} MiB ({}); lower these settings or \
                 raise the limit",
                total.div_ceil(MIB),
                limit / MIB,
                parts.join(", "),
            ),
        );
    }
}

/// The least limit that holds for this process, in bytes; none when there is none.
#[must_use]
pub fn memory_max() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    least(Path::new(MOUNT), &groups)
}

/// A line is `hierarchy:controllers:path`; version 2 has no controllers there.
fn least(mount: &Path, groups: &str) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        if controllers.is_empty() {
            least_above(mount, path, "memory.max")
        } else if controllers.split(',').any(|controller| controller == "memory") {
            least_above(&mount.join("memory"), path, "memory.limit_in_bytes")
        } else {
            None
        }
    });
    limits.min()
}

/// Of a group and all above it, for each holds. In a container the path may be the host's:
/// then the root is what can be seen of the group.
fn least_above(root: &Path, path: &str, file: &str) -> Option<u64> {
    let group = root.join(path.trim_start_matches('/'));
    let folders = group.ancestors().take_while(|folder| folder.starts_with(root));
    let limits = folders.filter_map(|folder| {
        let text = std::fs::read_to_string(folder.join(file)).ok()?;
        text.trim().parse().ok().filter(|limit| *limit < NO_LIMIT)
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these files, each with its text.
    fn mount(files: &[(&str, &str)]) -> std::path::PathBuf {
        let mount = std::env::temp_dir().join(format!("cgroup-{}", crate::clock::random_id()));
        for (file, text) in files {
            let file = mount.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        mount
    }

    #[test]
    fn the_least_limit_of_a_group_and_those_above_holds() {
        let new = mount(&[("memory.max", "max\n"), ("a/memory.max", "9000\n"), ("a/b/x", "")]);
        std::fs::write(new.join("a/b/memory.max"), "max\n").unwrap();
        assert_eq!(least(&new, "0::/a/b\n"), Some(9000));
        assert_eq!(least(&new, "0::/\n"), None);
        let container = mount(&[("memory.max", "4096\n")]);
        assert_eq!(least(&container, "0::/kubepods/pod1/c1\n"), Some(4096), "the host's path");
        let old = mount(&[
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/a/memory.limit_in_bytes", "1048576\n"),
        ]);
        let groups = "9:name=systemd:/\n4:cpu,memory:/a\n0::/\n";
        assert_eq!(least(&old, groups), Some(1_048_576));
        assert_eq!(least(&old, "4:memory:/\n"), None, "as good as none");
        assert_eq!(least(&old, "junk\n1:cpu:/a\n"), None);
        for folder in [new, container, old] {
            std::fs::remove_dir_all(folder).unwrap();
        }
    }

    #[test]
    fn settings_that_exceed_the_limit_are_named_with_what_they_take() {
        let needs = MemoryNeeds::default().with("the program", 64 * MIB);
        let needs = needs.with("CONNECTIONS_MAX", 96 * MIB);
        let warned = |limit| {
            let mut problems = Problems::default();
            needs.compare(limit, &mut problems);
            problems.take_warnings().join(" ")
        };
        assert_eq!((warned(None), warned(Some(160 * MIB))), (String::new(), String::new()));
        let said = warned(Some(128 * MIB));
        for part in ["160 MiB", "128 MiB", "the program 64 MiB", "CONNECTIONS_MAX 96 MiB"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}
