//! What the tests cost: seconds per test and phase, CPU seconds per phase and
//! program. Written to `costs.json` in the target's `tmp` at the end of each
//! test; `tests/report.rs` prints it.
//!
//! A phase's CPU is sampled: what this process and everything below it used
//! since the last look is shared out among the phases that tests are in, so that
//! the servers' work counts for whoever made them work.

mod sample;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::json;

use self::sample::Sample;

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What a test does at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Servers of its own start.
    Servers,
    /// Databases, virtual host and queues are made.
    Setup,
    /// Services start and become ready.
    Start,
    /// People register.
    Registration,
    /// A command of the program runs.
    Command,
    /// A condition is waited for.
    Waiting,
    /// Nothing must be left; services stop, names are removed.
    Finish,
    /// Everything else a test does.
    Body,
}

#[derive(Default)]
struct Costs {
    /// Tests under way, and how many are in each phase.
    running: usize,
    active: BTreeMap<Phase, usize>,
    cpu: BTreeMap<Phase, f64>,
    wall: BTreeMap<Phase, f64>,
    tests: Vec<Test>,
}

struct Test {
    name: String,
    seconds: f64,
    phases: BTreeMap<Phase, f64>,
}

static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
static COSTS: LazyLock<Mutex<Costs>> = LazyLock::new(|| {
    std::thread::spawn(look_for_ever);
    Mutex::default()
});

tokio::task_local! {
    static INSIDE: ();
}
thread_local! {
    static TEST: RefCell<Option<Running>> = const { RefCell::new(None) };
}

/// Counts what `work` takes for this phase, unless it is part of another.
pub(crate) fn phase<T>(phase: Phase, work: impl Future<Output = T>) -> impl Future<Output = T> {
    // On the heap: a test's stack is small, and phases are everywhere.
    let work = Box::pin(work);
    async move {
        Running::begin();
        if INSIDE.try_with(|()| ()).is_ok() {
            return work.await;
        }
        let _entered = Entered::new(phase);
        INSIDE.scope((), work).await
    }
}

struct Entered {
    phase: Phase,
    at: Instant,
}

impl Entered {
    fn new(phase: Phase) -> Self {
        *costs().active.entry(phase).or_default() += 1;
        Self { phase, at: Instant::now() }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let seconds = self.at.elapsed().as_secs_f64();
        let mut costs = costs();
        *costs.wall.entry(self.phase).or_default() += seconds;
        if let Some(active) = costs.active.get_mut(&self.phase) {
            *active -= 1;
        }
        drop(costs);
        // Not there any more when the test's thread is ending.
        let note = |test: &RefCell<Option<Running>>| {
            if let Some(test) = test.borrow_mut().as_mut() {
                *test.phases.entry(self.phase).or_default() += seconds;
            }
        };
        TEST.try_with(note).ok();
    }
}

/// The test of this thread, from the first phase to the thread's end.
struct Running {
    name: String,
    at: Instant,
    phases: BTreeMap<Phase, f64>,
}

impl Running {
    fn begin() {
        TEST.with_borrow_mut(|test| {
            test.get_or_insert_with(|| {
                costs().running += 1;
                let name = std::thread::current().name().unwrap_or_default().to_owned();
                Self { name, at: Instant::now(), phases: BTreeMap::new() }
            });
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut costs = costs();
        costs.running -= 1;
        let (name, phases) = (std::mem::take(&mut self.name), std::mem::take(&mut self.phases));
        costs.tests.push(Test { name, seconds: self.at.elapsed().as_secs_f64(), phases });
        drop(costs);
        write(&sample::take());
    }
}

fn costs() -> MutexGuard<'static, Costs> {
    LazyLock::force(&BEGUN);
    COSTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn look_for_ever() {
    let mut before = sample::take().total();
    loop {
        std::thread::sleep(LOOK_EVERY);
        let now = sample::take().total();
        share(now - before);
        before = now;
    }
}

/// Shares CPU seconds out among the phases that tests are in.
fn share(seconds: f64) {
    let mut costs = costs();
    let mut active = costs.active.clone();
    let busy: usize = active.values().sum();
    active.insert(Phase::Body, costs.running.saturating_sub(busy));
    let all: usize = active.values().sum();
    for (phase, tests) in active.into_iter().filter(|_| all > 0) {
        #[expect(clippy::cast_precision_loss, reason = "a few tests")]
        let part = seconds * tests as f64 / all as f64;
        *costs.cpu.entry(phase).or_default() += part;
    }
}

fn write(sample: &Sample) {
    let costs = costs();
    let named = |seconds: &BTreeMap<Phase, f64>| -> BTreeMap<String, f64> {
        seconds.iter().map(|(phase, seconds)| (format!("{phase:?}"), *seconds)).collect()
    };
    let tests: Vec<_> = costs
        .tests
        .iter()
        .map(|test| json!({ "name": test.name, "seconds": test.seconds, "phases": named(&test.phases) }))
        .collect();
    let report = json!({
        "seconds": BEGUN.elapsed().as_secs_f64(),
        "cpuSeconds": sample.total(),
        "phases": { "cpuSeconds": named(&costs.cpu), "seconds": named(&costs.wall) },
        "programs": sample.programs(),
        "tests": tests,
    });
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("costs.json");
    std::fs::write(file, report.to_string()).unwrap();
}
