//! Waiting for work to be done: for as long as it goes on, and with an error that
//! says what is left when it stands still.

use std::time::{Duration, Instant};

use anyhow::bail;

/// Asks every `pause` how much is left until nothing is. How long much work
/// takes is the machine's affair; that it goes on is not.
///
/// # Errors
/// It cannot be asked, or what is left has been no less for `standstill`.
pub(crate) async fn until(
    what: &str,
    (standstill, pause): (Duration, Duration),
    mut left: impl AsyncFnMut() -> anyhow::Result<u64>,
) -> anyhow::Result<()> {
    let (mut since, mut least) = (Instant::now(), u64::MAX);
    loop {
        match left().await? {
            0 => return Ok(()),
            left if left < least => (since, least) = (Instant::now(), left),
            left if since.elapsed() > standstill => {
                bail!("{what}: {left} are left, and no less for {} s", standstill.as_secs())
            }
            _ => (),
        }
        tokio::time::sleep(pause).await;
    }
}

/// How long work that is not finished may stand still.
pub(crate) const STANDSTILL: Duration = Duration::from_mins(2);

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: (Duration, Duration) = (Duration::ZERO, Duration::ZERO);

    #[tokio::test]
    async fn what_does_not_finish_is_an_error_that_says_how_much_is_left() {
        let mut count = 3_u64;
        let counted = until("x", (STANDSTILL, Duration::ZERO), async || {
            count -= 1;
            Ok(count)
        });
        assert!(counted.await.is_ok());
        let error = until("rows", NOW, async || Ok(7)).await.unwrap_err();
        assert_eq!(error.to_string(), "rows: 7 are left, and no less for 0 s");
    }
}
