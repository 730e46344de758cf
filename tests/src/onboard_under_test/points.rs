//! What happens at a step when a test has asked for it.
//!
//! A test sets the variable `FAILPOINTS` of the program under test to
//! `<step>.<side>=return(<act>)`, where the act is
//! - `crash`: the process ends at once, with nothing cleaned up;
//! - `lost`: the answer never reaches the caller, who runs into its time-out;
//! - `slow:<ms>`: the caller waits that long.
//!
//! `@<file>` behind an act lets it happen once: whoever removes the file acts.
//! A process that is started again with the same variables then goes on.

use std::time::Duration;

use fail::FailScenario;
use onboard_fault::{Act, Side, Step};

/// Reads `FAILPOINTS` and acts at the points it names, as long as the returned
/// scenario lives.
pub(crate) fn install() -> FailScenario<'static> {
    let scenario = FailScenario::setup();
    onboard_fault::install(act_at);
    scenario
}

fn act_at(step: Step, side: Side) -> Option<Act> {
    let asked = fail::eval(&step.point(side), |act| act)??;
    let act = due(&asked)?.to_owned();
    Some(Box::pin(async move { perform(step, side, &act).await }))
}

async fn perform(step: Step, side: Side, act: &str) {
    tracing::warn!(step = step.0, ?side, act, "fail point");
    match act.split_once(':') {
        None if act == "crash" => std::process::abort(),
        None if act == "lost" => std::future::pending().await,
        Some(("slow", ms)) => {
            tokio::time::sleep(Duration::from_millis(ms.parse().unwrap_or_default())).await;
        }
        _ => tracing::error!(act, "no such act of a fail point"),
    }
}

/// The act without its token, if it is to happen.
fn due(act: &str) -> Option<&str> {
    match act.split_once('@') {
        None => Some(act),
        Some((act, token)) => std::fs::remove_file(token).is_ok().then_some(act),
    }
}
