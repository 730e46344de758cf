//! Waiting for a condition without guessing how long it takes.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// How long a condition may take on a busy two-core machine.
const PATIENCE: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(50);

/// Asks until the answer is `Ok`; panics with the last `Err` when the patience
/// is used up.
pub(crate) async fn eventually<T, S: Debug, F>(what: &str, mut check: impl FnMut() -> F) -> T
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
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// Waits until nothing is left of what `count` counts; panics when it has not
/// become less for the whole patience. How long much work takes is the
/// machine's affair; that it goes on is ours.
pub(crate) async fn dwindles<N, F>(what: &str, mut count: impl FnMut() -> F)
where
    N: Into<u64>,
    F: Future<Output = N>,
{
    let (mut since, mut least) = (Instant::now(), u64::MAX);
    loop {
        let left = count().await.into();
        if left == 0 {
            return;
        }
        if left < least {
            (since, least) = (Instant::now(), left);
        }
        assert!(since.elapsed() <= PATIENCE, "no less for {PATIENCE:?}: {what}; left: {left}");
        tokio::time::sleep(POLL).await;
    }
}
