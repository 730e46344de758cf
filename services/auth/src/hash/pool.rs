//! The threads that hash.
//!
//! They are the pool's own and take the next job as soon as one is done, without
//! sleeping in between: a thread that sleeps and wakes 50 times a second is put
//! beside another hash by the scheduler, while a process of a lower priority
//! has the other CPU to itself. Jobs wait in two lines, logins and registrations, which
//! take turns; whose client goes away loses its place at once. The threads end with the
//! pool, and nothing of it survives the process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use self::lines::Lines;
use super::HashError;

mod lines;

/// What a password is hashed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Somebody says who they are.
    Login,
    /// Somebody wants an account.
    Registration,
}

/// Hashes on threads of its own; bounded.
#[derive(Debug)]
pub(super) struct Pool {
    lines: Arc<Lines<Job>>,
    /// Running or waiting.
    admitted: Arc<Semaphore>,
    /// Those of them that are logins, and those that are registrations: neither may have
    /// the places that are kept for the other.
    logins: Arc<Semaphore>,
    registrations: Arc<Semaphore>,
}

struct Job {
    /// Held by whoever waits for the job, and by its thread once it runs.
    place: Weak<Place>,
    work: Box<dyn FnOnce() -> Tell + Send>,
}

/// Hands the outcome to whoever waits for it, once the thread has given the place back.
type Tell = Box<dyn FnOnce()>;

/// A place among those who run or wait; counted as the one or the other.
struct Place {
    _permits: [OwnedSemaphorePermit; 2],
    runs: AtomicBool,
}

impl Place {
    fn wait(permits: [OwnedSemaphorePermit; 2]) -> Self {
        waiting().increment(1.0);
        Self { _permits: permits, runs: AtomicBool::new(false) }
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
    /// At most `threads` jobs run at once and at most `queue` wait. A quarter of the queue, and
    /// one place at least, is kept for logins, and as much for registrations; a single place
    /// is for whoever comes first. A thread that finds no next job calls `idle` before it
    /// sleeps.
    ///
    /// # Errors
    /// The system gives no threads.
    pub(super) fn new(
        threads: usize,
        queue: usize,
        idle: impl Fn() + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let (lines, idle) = (Arc::new(Lines::new()), Arc::new(idle));
        for number in 1..=threads {
            let (lines, idle) = (Arc::clone(&lines), Arc::clone(&idle));
            let thread = std::thread::Builder::new().name(format!("hash {number}"));
            thread.spawn(move || take_turns(&lines, &*idle))?;
        }
        metrics::gauge!("hash_threads").set(level(threads));
        metrics::gauge!("hash_queue_limit").set(level(queue));
        busy().set(0.0);
        waiting().set(0.0);
        let all = threads.saturating_add(queue);
        let of_one = all.saturating_sub(queue.div_ceil(4).max(1)).max(1);
        let places = |count| Arc::new(Semaphore::new(count));
        Ok(Self {
            lines,
            admitted: places(all),
            logins: places(of_one),
            registrations: places(of_one),
        })
    }

    /// Runs the work when it is its turn.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        purpose: Purpose,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let permits = self.permits(purpose).ok_or_else(|| {
            metrics::counter!("hash_refused_total").increment(1);
            HashError::Overloaded
        })?;
        let place = Arc::new(Place::wait(permits));
        let (done, result) = oneshot::channel();
        let work = Box::new(move || -> Tell {
            let outcome = work();
            // Nobody may wait for it any more.
            Box::new(move || drop(done.send(outcome)))
        });
        self.lines.join(purpose, Job { place: Arc::downgrade(&place), work });
        result.await.map_err(|_| HashError::Died)
    }

    /// A place among all, and one among those of its kind.
    fn permits(&self, purpose: Purpose) -> Option<[OwnedSemaphorePermit; 2]> {
        let take = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned().ok();
        let of_its_kind = match purpose {
            Purpose::Login => &self.logins,
            Purpose::Registration => &self.registrations,
        };
        Some([take(of_its_kind)?, take(&self.admitted)?])
    }
}

/// The threads end when nothing more can come.
impl Drop for Pool {
    fn drop(&mut self) {
        self.lines.close();
    }
}

fn take_turns(lines: &Lines<Job>, idle: &impl Fn()) {
    loop {
        let job = lines.next().or_else(|| {
            idle();
            lines.wait()
        });
        let Some(Job { place, work }) = job else { return };
        // Gone with who waited for it.
        let Some(place) = place.upgrade() else { continue };
        place.run();
        let worked = catch_unwind(AssertUnwindSafe(work));
        // Whoever hears the answer finds the place free.
        drop(place);
        // The answer of a job that panics is missed; the thread goes on.
        if let Ok(tell) = worked {
            tell();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Purpose::{Login, Registration};
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc::channel;

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
        let pool = Pool::new(1, 2, || ()).unwrap();
        let (go, wait) = channel::<()>();
        let mut running = Box::pin(pool.run(Login, move || wait.recv().is_err()));
        waits(&mut running).await;
        let ran = Arc::new(AtomicUsize::new(0));
        let count = || {
            let ran = Arc::clone(&ran);
            move || ran.fetch_add(1, Ordering::SeqCst)
        };
        let mut waiting = Box::pin(pool.run(Login, count()));
        waits(&mut waiting).await;
        assert!(matches!(pool.run(Login, count()).await, Err(HashError::Overloaded)));
        drop(waiting);
        let mut waiting = Box::pin(pool.run(Login, count()));
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
            let died = pool.run(Login, || panic!("on purpose")).await;
            assert!(matches!(died, Err(HashError::Died)), "{died:?}");
        }
        assert_eq!(pool.run(Login, || 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_thread_without_a_next_job_says_so_and_one_with_a_next_job_does_not() {
        let (idle, was_idle) = channel();
        let pool = Pool::new(1, 8, move || idle.send(()).unwrap()).unwrap();
        was_idle.recv().unwrap();
        let (go, wait) = channel::<()>();
        let mut first = Box::pin(pool.run(Login, move || wait.recv().is_err()));
        waits(&mut first).await;
        let mut next: Vec<_> = (0..4).map(|_| Box::pin(pool.run(Login, || ()))).collect();
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

    #[tokio::test]
    async fn registrations_leave_places_to_logins_and_take_turns_with_them() {
        let pool = Pool::new(1, 8, || ()).unwrap();
        let (go, wait) = channel::<()>();
        let mut running = Box::pin(pool.run(Registration, move || wait.recv().is_err()));
        waits(&mut running).await;
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let note = |purpose| {
            let order = Arc::clone(&order);
            move || order.lock().unwrap().push(purpose)
        };
        let mut open = Vec::new();
        for _ in 0..6 {
            let mut next = Box::pin(pool.run(Registration, note(Registration)));
            waits(&mut next).await;
            open.push(next);
        }
        let refused = pool.run(Registration, note(Registration)).await;
        assert!(matches!(refused, Err(HashError::Overloaded)), "three quarters of the queue");
        let mut logins = Vec::new();
        for _ in 0..2 {
            let mut next = Box::pin(pool.run(Login, note(Login)));
            waits(&mut next).await;
            logins.push(next);
        }
        let refused = pool.run(Login, note(Login)).await;
        assert!(matches!(refused, Err(HashError::Overloaded)), "the queue is full");
        drop(go);
        assert!(running.await.unwrap());
        for login in logins {
            login.await.unwrap();
        }
        for next in open {
            next.await.unwrap();
        }
        let order = order.lock().unwrap();
        let last_login = order.iter().rposition(|purpose| *purpose == Login).unwrap();
        assert!(last_login <= 3, "each waits for one registration at most: {order:?}");
    }

    #[tokio::test]
    async fn neither_kind_takes_every_place_from_the_other_however_few_there_are() {
        for (threads, queue, most) in [(1, 8, 7), (2, 3, 4), (1, 2, 2), (1, 1, 1), (2, 0, 1)] {
            for (one, other) in [(Login, Registration), (Registration, Login)] {
                let pool = Pool::new(threads, queue, || ()).unwrap();
                let (go, wait) = channel::<()>();
                let wait = Arc::new(std::sync::Mutex::new(wait));
                let work = || {
                    let wait = Arc::clone(&wait);
                    move || wait.lock().unwrap().recv().is_err()
                };
                let mut open: Vec<_> = (0..most).map(|_| Box::pin(pool.run(one, work()))).collect();
                for next in &mut open {
                    waits(next).await;
                }
                let refused = pool.run(one, work()).await;
                assert!(matches!(refused, Err(HashError::Overloaded)), "{threads} {queue} {one:?}");
                let mut kept = Box::pin(pool.run(other, work()));
                waits(&mut kept).await;
                drop(go);
                assert!(kept.await.unwrap());
            }
        }
        let pool = Pool::new(1, 0, || ()).unwrap();
        for purpose in [Login, Registration] {
            assert_eq!(pool.run(purpose, || 7).await.unwrap(), 7, "a single place is anybody's");
        }
    }
}
