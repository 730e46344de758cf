//! The points around a step, and who acts at them.

use std::pin::Pin;
use std::sync::OnceLock;

use crate::{Side, Step};

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
