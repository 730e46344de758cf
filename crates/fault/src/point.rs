//! A step, the points around it, and who acts at them.

use std::pin::Pin;
use std::sync::OnceLock;

/// A step that is visible outside the process, by its name `area.verb`. The name stands
/// where the step is taken; `tests/integration/kill_points.rs` lists all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Step(pub &'static str);

/// Where at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The step has not been taken.
    Before,
    /// It has been taken, and the caller does not know yet.
    After,
}

impl Step {
    /// The name of its fail point on that side.
    #[must_use]
    pub fn point(self, side: Side) -> String {
        let side = match side {
            Side::Before => "before",
            Side::After => "after",
        };
        format!("{}.{side}", self.0)
    }
}

/// What happens at a point, before the process goes on, if it does.
pub type Act = Pin<Box<dyn Future<Output = ()> + Send>>;
/// Every point asks the hook, and does nothing when the hook returns `None`.
pub type Hook = fn(Step, Side) -> Option<Act>;

static HOOK: OnceLock<Hook> = OnceLock::new();

/// Has `hook` asked at every point from now on. The first hook stays.
pub fn install(hook: Hook) {
    HOOK.get_or_init(|| hook);
}

/// Takes a step, with its points around it.
pub async fn step<T>(step: Step, effect: impl Future<Output = T>) -> T {
    before(step).await;
    let answer = effect.await;
    after(step).await;
    answer
}

/// The point before a step, where the step is not one future.
pub async fn before(step: Step) {
    reach(step, Side::Before).await;
}

/// The point after a step, where the step is not one future.
pub async fn after(step: Step) {
    reach(step, Side::After).await;
}

async fn reach(step: Step, side: Side) {
    if let Some(act) = HOOK.get().and_then(|hook| hook(step, side)) {
        act.await;
    }
}
