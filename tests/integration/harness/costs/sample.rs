//! CPU seconds of this process and of everything below it, read off `/proc`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use procfs::process::{Process, Stat, all_processes};

/// A process by its id and when it began: ids are used again.
type Key = (i32, u64);

/// What is known at a time.
#[derive(Clone, Default)]
pub(super) struct Sample {
    /// Program and CPU seconds of every process seen so far.
    seen: BTreeMap<Key, (String, f64)>,
    /// CPU seconds of all processes, including those that ended between two looks.
    total: f64,
}

impl Sample {
    pub(super) fn total(&self) -> f64 {
        self.total
    }

    /// CPU seconds and processes by program, in alphabetical order.
    pub(super) fn programs(&self) -> BTreeMap<String, (f64, usize)> {
        let mut programs: BTreeMap<String, (f64, usize)> = BTreeMap::new();
        for (program, seconds) in self.seen.values() {
            let of = programs.entry(program.clone()).or_default();
            *of = (of.0 + seconds, of.1 + 1);
        }
        let seen: f64 = programs.values().map(|(seconds, _)| seconds).sum();
        programs.insert("(not seen)".to_owned(), ((self.total - seen).max(0.0), 0));
        programs
    }
}

/// Looks at all processes.
pub(super) fn take() -> Sample {
    static LAST: Mutex<Option<Sample>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let sample = last.get_or_insert_default();
    let stats: BTreeMap<i32, Stat> = all_processes()
        .into_iter()
        .flatten()
        .filter_map(|process| process.ok()?.stat().ok())
        .map(|stat| (stat.pid, stat))
        .collect();
    let this = i32::try_from(std::process::id()).unwrap_or_default();
    let below = |pid: i32| {
        let parent = |pid: &i32| stats.get(pid).map(|stat| stat.ppid);
        std::iter::successors(Some(pid), parent).any(|pid| pid == this)
    };
    let mut total = 0.0;
    for (pid, stat) in stats.iter().filter(|(pid, _)| below(**pid)) {
        let own = seconds(stat.utime + stat.stime);
        // What it has waited for: commands that ended.
        total += own + seconds(u64::try_from(stat.cutime + stat.cstime).unwrap_or_default());
        let program = if *pid == this { Some("the tests".to_owned()) } else { program(*pid) };
        let seen = sample.seen.entry((*pid, stat.starttime)).or_default();
        // A process that has ended and is not reaped yet has no name any more.
        *seen = (program.unwrap_or_else(|| std::mem::take(&mut seen.0)), own);
    }
    // Never less than before: a process that is just being reaped is in neither.
    sample.total = sample.total.max(total);
    sample.clone()
}

fn seconds(ticks: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let seconds = ticks as f64 / procfs::ticks_per_second() as f64;
    seconds
}

/// Its name; of the program under test, which command it runs.
fn program(pid: i32) -> Option<String> {
    let line = Process::new(pid).and_then(|process| process.cmdline()).unwrap_or_default();
    let name = |word: &String| Some(Path::new(word).file_name()?.to_string_lossy().into_owned());
    let program = line.first().and_then(name)?;
    if program.starts_with("onboard") {
        return Some(format!("onboard {}", line.get(1).map_or("", String::as_str)));
    }
    Some(program)
}
