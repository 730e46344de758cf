//! CPU time of each component, with the processes it has started, as the
//! kernel counts it (`/proc/<pid>/stat`, proc(5)).

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;

use crate::Bed;

/// A tick is 10 ms on every Linux that is not an Alpha (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// Where the components stand.
#[derive(Debug, Clone)]
pub(crate) struct Cpu(BTreeMap<String, Used>);

#[derive(Debug, Clone, Copy)]
struct Used {
    pid: Option<u32>,
    time: Duration,
}

impl Cpu {
    /// Reads every component.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub(crate) fn read(bed: &Bed) -> anyhow::Result<Self> {
        let all = Processes::read()?;
        let components = bed.stage().stack().components();
        let used = components.map(|component| {
            let pid = component.status().pid;
            let time = pid.map_or(Duration::ZERO, |pid| all.tree(pid));
            (component.name().to_owned(), Used { pid, time })
        });
        Ok(Self(used.collect()))
    }

    /// What each component has used since. One that was started since has used
    /// all of its own.
    pub(crate) fn since(&self, before: &Self) -> Vec<(String, Duration)> {
        let used = self.0.iter().map(|(name, now)| {
            let then = before.0.get(name).filter(|then| then.pid == now.pid);
            let then = then.map_or(Duration::ZERO, |then| then.time);
            (name.clone(), now.time.saturating_sub(then))
        });
        used.collect()
    }
}

/// Parent and CPU time of every process.
struct Processes(BTreeMap<u32, (u32, Duration)>);

impl Processes {
    fn read() -> anyhow::Result<Self> {
        let entries = std::fs::read_dir("/proc").context("/proc cannot be read")?;
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let known = pids.filter_map(|pid: u32| {
            // One that has just gone is none of ours.
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, parse(&stat)?))
        });
        Ok(Self(known.collect()))
    }

    /// A process with all that descend from it.
    fn tree(&self, root: u32) -> Duration {
        let own = self.0.get(&root).map_or(Duration::ZERO, |(_, time)| *time);
        let children = self.0.iter().filter(|(pid, (parent, _))| *parent == root && **pid != root);
        own + children.map(|(pid, _)| self.tree(*pid)).sum::<Duration>()
    }
}

/// Parent (field 4) and CPU time (fields 14 to 17: user and system, of its own
/// and of children it has waited for).
fn parse(stat: &str) -> Option<(u32, Duration)> {
    // The name before it is in brackets and may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    let times = fields.skip(9).take(4).map(str::parse);
    let ticks: u32 = times.collect::<Result<Vec<u32>, _>>().ok()?.into_iter().sum();
    Some((parent, TICK * ticks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernel_is_read_whatever_the_name() {
        let stat = "42 (a b) c) S 7 42 42 0 -1 4194560 1 2 3 4 100 20 3 1 20 0 5 0 99 1 2";
        assert_eq!(parse(stat), Some((7, Duration::from_millis(1_240))));
        assert_eq!(parse("nonsense"), None);
    }

    #[test]
    fn a_tree_is_its_root_and_all_below() {
        let second = Duration::from_secs(1);
        let all = [(1, 0), (2, 1), (3, 2), (4, 1), (5, 9)];
        let all = Processes(all.map(|(pid, parent)| (pid, (parent, second * pid))).into());
        assert_eq!(all.tree(2), second * 5);
        assert_eq!(all.tree(1), second * 10);
        assert_eq!(all.tree(77), Duration::ZERO);
    }

    #[test]
    fn this_process_has_used_some() {
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_millis(50) {
            std::hint::black_box(0);
        }
        let all = Processes::read().unwrap();
        assert!(all.tree(std::process::id()) > Duration::ZERO);
    }
}
