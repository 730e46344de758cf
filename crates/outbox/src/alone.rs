//! Commands for several rows, where one row can spoil the command for all: MongoDB
//! then refuses the whole of it, although the other rows are sound.

use onboard_mongo::StoreError;

/// What `work` says of all rows together; where MongoDB refuses that, what it says of
/// each row alone, in the order of the rows.
pub(super) async fn together_else_alone<I, T, F>(
    rows: Vec<I>,
    work: impl Fn(Vec<I>) -> F,
) -> Vec<Result<T, StoreError>>
where
    I: Clone,
    F: Future<Output = Result<T, StoreError>>,
{
    match work(rows.clone()).await {
        Err(error) if !error.is_retryable() && rows.len() > 1 => {
            let mut alone = Vec::with_capacity(rows.len());
            for row in rows {
                alone.push(work(vec![row]).await);
            }
            alone
        }
        together => vec![together],
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Works on rows of which MongoDB refuses the second; how often it was asked.
    async fn work_on(rows: &[u32]) -> (Vec<Option<usize>>, u32) {
        let asked = Cell::new(0);
        let work = |rows: Vec<u32>| {
            asked.set(asked.get() + 1);
            let refused = rows.contains(&2);
            async move {
                let error = mongodb::error::Error::custom("Document failed validation");
                let error = StoreError::Refused { what: "claim the rows", source: error };
                if refused { Err(error) } else { Ok(rows.len()) }
            }
        };
        let done = together_else_alone(rows.to_vec(), work).await;
        (done.into_iter().map(Result::ok).collect(), asked.get())
    }

    #[tokio::test]
    async fn rows_that_nobody_spoils_are_worked_on_together() {
        assert_eq!(work_on(&[1, 3]).await, (vec![Some(2)], 1));
    }

    #[tokio::test]
    async fn a_row_that_spoils_it_for_all_fails_alone() {
        assert_eq!(work_on(&[1, 2, 3]).await, (vec![Some(1), None, Some(1)], 4));
        assert_eq!(work_on(&[2]).await, (vec![None], 1));
    }
}
