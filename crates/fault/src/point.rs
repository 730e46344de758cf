//! What happens at a step when a test has asked for it.
//!
//! A test sets the variable `FAILPOINTS` of the process under test to
//! `<step>.<side>=return(<act>)`, where the act is
//! - `crash`: the process ends at once, with nothing cleaned up;
//! - `lost`: the answer never reaches the caller, who runs into its time-out;
//! - `slow:<ms>`: the caller waits that long.
//!
//! `@<file>` behind an act lets it happen once: whoever removes the file acts.
//! A process that is started again with the same variables then goes on.

use std::time::Duration;

use crate::{Side, Step};

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
    if fail::has_failpoints()
        && let Some(act) = armed(&step.point(side)).as_deref().and_then(due)
    {
        perform(step, side, act).await;
    }
}

async fn perform(step: Step, side: Side, act: &str) {
    tracing::warn!(step = step.name(), ?side, act, "fail point");
    match act.split_once(':') {
        None if act == "crash" => std::process::abort(),
        None if act == "lost" => std::future::pending().await,
        Some(("slow", ms)) => {
            tokio::time::sleep(Duration::from_millis(ms.parse().unwrap_or_default())).await;
        }
        _ => tracing::error!(act, "no such act of a fail point"),
    }
}

/// The act a test has asked for at this point.
#[allow(
    unused_variables,
    clippy::unnecessary_wraps,
    reason = "without fail points the macro is nothing"
)]
fn armed(point: &str) -> Option<String> {
    fail::fail_point!(point, |act| act);
    None
}

/// The act without its token, if it is to happen.
fn due(act: &str) -> Option<&str> {
    match act.split_once('@') {
        None => Some(act),
        Some((act, token)) => std::fs::remove_file(token).is_ok().then_some(act),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_with_a_token_happens_once() {
        let token = std::env::temp_dir().join(format!("token-{}", std::process::id()));
        std::fs::write(&token, "").unwrap();
        let act = format!("crash@{}", token.display());
        assert_eq!(due(&act), Some("crash"));
        assert_eq!(due(&act), None);
        assert_eq!(due("lost"), Some("lost"));
    }
}
