//! Waiting for a condition without guessing how long it takes.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// How long a condition may take on a busy two-core machine.
const PATIENCE: Duration = Duration::from_secs(90);
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
