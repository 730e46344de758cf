//! The threads that hash.
//!
//! They are the pool's own and take the next job as soon as one is done, without
//! sleeping in between: a thread that sleeps and wakes 50 times a second is put
//! beside another hash by the scheduler, while a process of a lower priority
//! has the other CPU to itself. Jobs wait in line; whose client goes away loses
//! its place at once. The threads end with the pool.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, TryLockError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::HashError;

/// Hashes on threads of its own; bounded.
#[derive(Debug)]
pub(super) struct Pool {
    jobs: Sender<Job>,
    /// Running or waiting.
    admitted: Arc<Semaphore>,
}

struct Job {
    /// Held by whoever waits for the job, and by its thread once it runs.
    place: Weak<Place>,
    work: Box<dyn FnOnce() + Send>,
}

/// A place among those who run or wait; counted as the one or the other.
struct Place {
    _permit: OwnedSemaphorePermit,
    runs: AtomicBool,
}

impl Place {
    fn wait(permit: OwnedSemaphorePermit) -> Self {
        waiting().increment(1.0);
        Self { _permit: permit, runs: AtomicBool::new(false) }
    }

    fn run(&self) {
        self.runs.store(true, Ordering::Relaxed);
        waiting().decrement(1.0);
        busy().increment(1.0);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let counted = if *self.runs.get_mut() { busy() } else { waiting() };
        counted.decrement(1.0);
    }
}

fn busy() -> metrics::Gauge {
    metrics::gauge!("hash_busy")
}

fn waiting() -> metrics::Gauge {
    metrics::gauge!("hash_queue_length")
}

/// Counts are small.
fn level(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

impl Pool {
    /// At most `threads` jobs run at once and at most `queue` wait. A thread that
    /// finds no next job calls `idle` before it sleeps.
    ///
    /// # Errors
    /// The system gives no threads.
    pub(super) fn new(
        threads: usize,
        queue: usize,
        idle: impl Fn() + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let (jobs, next) = channel();
        let (next, idle) = (Arc::new(Mutex::new(next)), Arc::new(idle));
        for number in 1..=threads {
            let (next, idle) = (Arc::clone(&next), Arc::clone(&idle));
            let thread = std::thread::Builder::new().name(format!("hash {number}"));
            thread.spawn(move || take_turns(&next, &*idle))?;
        }
        metrics::gauge!("hash_threads").set(level(threads));
        metrics::gauge!("hash_queue_limit").set(level(queue));
        busy().set(0.0);
        waiting().set(0.0);
        Ok(Self { jobs, admitted: Arc::new(Semaphore::new(threads + queue)) })
    }

    /// Runs the work when it is its turn.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let place = Arc::clone(&self.admitted).try_acquire_owned();
        let Ok(permit) = place else {
            metrics::counter!("hash_refused_total").increment(1);
            return Err(HashError::Overloaded);
        };
        let place = Arc::new(Place::wait(permit));
        let (done, result) = oneshot::channel();
        let work = Box::new(move || {
            // Nobody may wait for it any more.
            done.send(work()).ok();
        });
        let job = Job { place: Arc::downgrade(&place), work };
        self.jobs.send(job).map_err(|_| HashError::Died)?;
        result.await.map_err(|_| HashError::Died)
    }
}

fn take_turns(next: &Mutex<Receiver<Job>>, idle: &impl Fn()) {
    loop {
        let job = waiting_job(next).map_or_else(
            || {
                idle();
                next.lock().unwrap_or_else(PoisonError::into_inner).recv()
            },
            Ok,
        );
        let Ok(Job { place, work }) = job else { return };
        // Gone with who waited for it.
        let Some(place) = place.upgrade() else { continue };
        place.run();
        // The answer of a job that panics is missed; the thread goes on.
        catch_unwind(AssertUnwindSafe(work)).ok();
    }
}

/// A job that waits already. A thread that holds the lock waits for one, or takes
/// the only one.
fn waiting_job(next: &Mutex<Receiver<Job>>) -> Option<Job> {
    match next.try_lock() {
        Ok(next) => next.try_recv().ok(),
        Err(TryLockError::Poisoned(next)) => next.into_inner().try_recv().ok(),
        Err(TryLockError::WouldBlock) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Begins, and is found waiting.
    async fn waits<T>(work: &mut (impl Future<Output = T> + Unpin)) {
        tokio::select! {
            biased;
            _ = work => panic!("it is done"),
            () = std::future::ready(()) => (),
        }
    }

    #[tokio::test]
    async fn beyond_the_queue_the_answer_is_overloaded_and_who_leaves_makes_room() {
        let pool = Pool::new(1, 1, || ()).unwrap();
        let (go, wait) = channel::<()>();
        let mut running = Box::pin(pool.run(move || wait.recv().is_err()));
        waits(&mut running).await;
        let ran = Arc::new(AtomicUsize::new(0));
        let count = || {
            let ran = Arc::clone(&ran);
            move || ran.fetch_add(1, Ordering::SeqCst)
        };
        let mut waiting = Box::pin(pool.run(count()));
        waits(&mut waiting).await;
        assert!(matches!(pool.run(count()).await, Err(HashError::Overloaded)));
        drop(waiting);
        let mut waiting = Box::pin(pool.run(count()));
        waits(&mut waiting).await;
        drop(go);
        assert!(running.await.unwrap());
        assert_eq!(waiting.await.unwrap(), 0, "what was left did not run before it");
        assert_eq!(ran.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_job_that_panics_takes_no_thread_and_no_place_with_it() {
        let pool = Pool::new(1, 3, || ()).unwrap();
        for _ in 0..3 {
            let died = pool.run(|| panic!("on purpose")).await;
            assert!(matches!(died, Err(HashError::Died)), "{died:?}");
        }
        assert_eq!(pool.run(|| 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_thread_without_a_next_job_says_so_and_one_with_a_next_job_does_not() {
        let (idle, was_idle) = channel();
        let pool = Pool::new(1, 8, move || idle.send(()).unwrap()).unwrap();
        was_idle.recv().unwrap();
        let (go, wait) = channel::<()>();
        let mut first = Box::pin(pool.run(move || wait.recv().is_err()));
        waits(&mut first).await;
        let mut next: Vec<_> = (0..4).map(|_| Box::pin(pool.run(|| ()))).collect();
        for next in &mut next {
            waits(next).await;
        }
        drop(go);
        for next in next {
            next.await.unwrap();
        }
        was_idle.recv().unwrap();
        assert!(was_idle.try_recv().is_err(), "once, after the last");
    }
}
