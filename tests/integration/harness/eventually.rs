//! Waiting for a condition without guessing how long it takes.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use super::costs::{Phase, phase};

/// How long a condition may take on a busy two-core machine.
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two looks: a tenth of what has been waited, between these. Whoever
/// waits long asks seldom, since each look costs the servers something.
const POLL_MIN: Duration = Duration::from_millis(25);
const POLL_MAX: Duration = Duration::from_millis(500);

fn pause(begun: Instant) -> Duration {
    (begun.elapsed() / 10).clamp(POLL_MIN, POLL_MAX)
}

/// Asks until the answer is `Ok`; panics with the last `Err` when the patience
/// is used up.
pub(crate) async fn eventually<T, S: Debug, F>(what: &str, check: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, S>>,
{
    phase(Phase::Waiting, ask_until_it_holds(what, check)).await
}

async fn ask_until_it_holds<T, S: Debug, F>(what: &str, mut check: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, S>>,
{
    let begun = Instant::now();
    loop {
        match check().await {
            Ok(value) => return value,
            Err(status) if begun.elapsed() > PATIENCE => {
                panic!("not within {PATIENCE:?}: {what}; last seen: {status:?}")
            }
            Err(_) => tokio::time::sleep(pause(begun)).await,
        }
    }
}

/// Waits until nothing is left of what `count` counts; panics when it has not
/// become less for the whole patience. How long much work takes is the
/// machine's affair; that it goes on is ours.
pub(crate) async fn dwindles<N, F>(what: &str, count: impl FnMut() -> F)
where
    N: Into<u64>,
    F: Future<Output = N>,
{
    phase(Phase::Waiting, ask_until_none_is_left(what, count)).await;
}

async fn ask_until_none_is_left<N, F>(what: &str, mut count: impl FnMut() -> F)
where
    N: Into<u64>,
    F: Future<Output = N>,
{
    let begun = Instant::now();
    let (mut since, mut least) = (begun, u64::MAX);
    loop {
        let left = count().await.into();
        if left == 0 {
            return;
        }
        if left < least {
            (since, least) = (Instant::now(), left);
        }
        assert!(since.elapsed() <= PATIENCE, "no less for {PATIENCE:?}: {what}; left: {left}");
        tokio::time::sleep(pause(begun)).await;
    }
}
