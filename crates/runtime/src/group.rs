//! Work done for many callers at once: whoever's turn it is takes what waits
//! and does it for all.
//!
//! Nothing is held back to make a group larger. While one group is under way
//! the next one gathers, so a lone caller waits for nobody and a crowd shares
//! the round trips. A caller that goes away takes its item along, if it was
//! not begun; a group whose doer goes away is done again by those who wait, so
//! the work must bear repetition. Nothing survives the process.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{Semaphore, oneshot};

/// Gathers items of type `I`; each caller gets its own `O`.
#[derive(Debug)]
pub struct Group<I, O> {
    waiting: Mutex<Vec<Waiting<I, O>>>,
    turns: Semaphore,
    size_max: usize,
}

#[derive(Debug)]
struct Waiting<I, O> {
    item: I,
    answer: oneshot::Sender<O>,
}

impl<I: Clone, O> Group<I, O> {
    /// At most `groups_max` groups are under way at once, each of at most
    /// `size_max` items.
    #[must_use]
    pub const fn new(groups_max: usize, size_max: usize) -> Self {
        Self { waiting: Mutex::new(Vec::new()), turns: Semaphore::const_new(groups_max), size_max }
    }

    /// Has `item` done, together with others that wait. `work` answers with
    /// one result per item, in their order; an item it leaves without one is
    /// done again.
    pub async fn submit<F>(&self, item: I, work: impl Fn(Vec<I>) -> F) -> O
    where
        F: Future<Output = Vec<O>>,
    {
        loop {
            let (answer, mut answered) = oneshot::channel();
            self.lock().push(Waiting { item: item.clone(), answer });
            loop {
                let turn = tokio::select! {
                    biased;
                    answer = &mut answered => match answer {
                        Ok(answer) => return answer,
                        Err(_) => break,
                    },
                    turn = self.turns.acquire() => turn,
                };
                let (items, answers) = self.take();
                if items.is_empty() {
                    // Ours is in a group that is under way.
                    drop(turn);
                    match answered.await {
                        Ok(answer) => return answer,
                        Err(_) => break,
                    }
                }
                let results = work(items).await;
                for (answer, result) in answers.into_iter().zip(results) {
                    // A caller that went away needs no answer.
                    answer.send(result).ok();
                }
            }
        }
    }

    fn take(&self) -> (Vec<I>, Vec<oneshot::Sender<O>>) {
        let mut waiting = self.lock();
        waiting.retain(|one| !one.answer.is_closed());
        let size = waiting.len().min(self.size_max);
        waiting.drain(..size).map(|one| (one.item, one.answer)).unzip()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waiting<I, O>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    async fn doubled(items: Vec<u32>) -> Vec<u32> {
        tokio::task::yield_now().await;
        items.into_iter().map(|item| item * 2).collect()
    }

    #[tokio::test]
    async fn each_caller_gets_its_own_answer() {
        let group = Group::new(2, 8);
        let all = futures::future::join_all((0..100).map(|item| group.submit(item, doubled)));
        let expected: Vec<u32> = (0..100).map(|item| item * 2).collect();
        assert_eq!(all.await, expected);
    }

    #[tokio::test]
    async fn a_crowd_shares_groups_and_no_group_is_too_large() {
        let (group, largest, groups) =
            (Group::new(1, 16), AtomicUsize::new(0), AtomicUsize::new(0));
        let work = async |items: Vec<u32>| {
            largest.fetch_max(items.len(), Ordering::Relaxed);
            groups.fetch_add(1, Ordering::Relaxed);
            doubled(items).await
        };
        futures::future::join_all((0..64).map(|item| group.submit(item, &work))).await;
        assert_eq!(largest.into_inner(), 16);
        assert!(groups.into_inner() <= 6);
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_whose_doer_goes_away_is_done_again() {
        let group = Group::new(1, 8);
        let after = |seconds| {
            move |items: Vec<u32>| async move {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                doubled(items).await
            }
        };
        // The second takes the third's item along, and is given up over it.
        let first = group.submit(1, after(1));
        let second = tokio::time::timeout(Duration::from_secs(5), group.submit(2, after(60)));
        let third = group.submit(3, after(1));
        let (first, second, third) = tokio::join!(first, second, third);
        assert_eq!((first, second.is_err(), third), (2, true, 6));
    }

    #[tokio::test]
    async fn an_item_left_without_an_answer_is_done_again() {
        let (group, tries) = (Group::new(1, 8), AtomicUsize::new(0));
        let work = async |items: Vec<u32>| {
            if tries.fetch_add(1, Ordering::Relaxed) == 0 {
                Vec::new()
            } else {
                doubled(items).await
            }
        };
        assert_eq!(group.submit(21, &work).await, 42);
    }
}
