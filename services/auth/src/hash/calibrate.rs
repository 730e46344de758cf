//! Measures what argon2id costs on this machine, for `onboard calibrate`.
//!
//! Every pair of memory and passes is hashed on as many threads as the service
//! would use, with the service's own code, for a bounded time.

use std::num::NonZero;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};

use super::memory::Memory;
use super::settings::FLOOR;
use super::{HashFailure, phc};
use crate::password::Password;

/// Pairs above the floor, in KiB and passes.
const STRONGER: [(u32, u32); 7] =
    [(32_768, 2), (65_536, 1), (47_104, 2), (65_536, 2), (131_072, 1), (131_072, 2), (262_144, 1)];
/// How long a pair is measured, and how often on each thread at least.
const PAIR_TIME: Duration = Duration::from_millis(400);
const HASHES_MIN: usize = 3;
/// A pair is not tried when a weaker one took so many times the target.
const HOPELESS: u32 = 2;

/// What a pair costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Memory of one hash in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub iterations: u32,
    /// The median time of one hash.
    pub p50: Duration,
    /// 19 of 20 hashes were done in that time.
    pub p95: Duration,
    /// All threads together.
    pub hashes_per_s: f64,
}

impl Measured {
    const fn work(&self) -> u64 {
        self.memory_kib as u64 * self.iterations as u64
    }
}

/// The number of CPUs, which is the service's default of `HASH_THREADS`.
#[must_use]
pub fn threads_default() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Measures the pairs from the weakest to the strongest, until they are
/// hopelessly slower than the target; tells each as soon as it is known.
///
/// # Errors
/// argon2 refused, or there are no random numbers.
pub fn measure_all(
    threads: usize,
    target: Duration,
    mut tell: impl FnMut(&Measured),
) -> Result<Vec<Measured>, HashFailure> {
    let mut pairs: Vec<(u32, u32)> = FLOOR.into_iter().chain(STRONGER).collect();
    pairs.sort_by_key(|&(memory, iterations)| u64::from(memory) * u64::from(iterations));
    let mut all: Vec<Measured> = Vec::with_capacity(pairs.len());
    for (memory, iterations) in pairs {
        let hopeless = all.iter().any(|weaker| weaker.p50 > target * HOPELESS);
        if hopeless && all.len() >= FLOOR.len() {
            break;
        }
        let measured = measure((memory, iterations), threads, PAIR_TIME)?;
        tell(&measured);
        all.push(measured);
    }
    Ok(all)
}

/// The strongest pair whose hashes are done within the target; when not even
/// the floor is, its fastest. Of equal strength, the one with more memory.
#[must_use]
pub fn propose(all: &[Measured], target: Duration) -> Option<Measured> {
    let within = all.iter().filter(|one| one.p95 <= target);
    let strongest = within.max_by_key(|one| (one.work(), one.memory_kib));
    strongest.or_else(|| all.iter().min_by_key(|one| one.p95)).copied()
}

/// Hashes with `(KiB, passes)` on `threads` threads for `time`: the most that
/// this machine can register, were there nothing else to do.
///
/// # Errors
/// argon2 refused, or there are no random numbers.
pub fn measure(
    (memory_kib, iterations): (u32, u32),
    threads: usize,
    time: Duration,
) -> Result<Measured, HashFailure> {
    let params = Params::new(memory_kib, iterations, 1, None).map_err(HashFailure::Refused)?;
    let memory = Memory::new(params.block_count());
    let began = Instant::now();
    let run = || times(time, |password| phc::hash(&params, password, &memory).map(drop));
    let mut all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(run)).collect();
        let joined = threads.into_iter().filter_map(|thread| thread.join().ok());
        joined.collect::<Result<Vec<_>, _>>().map(|times| times.concat())
    })?;
    let elapsed = began.elapsed().as_secs_f64().max(f64::MIN_POSITIVE);
    all.sort_unstable();
    let hashes = u32::try_from(all.len()).map_or(f64::MAX, f64::from);
    let (p50, p95) = (quantile(&all, 50), quantile(&all, 95));
    Ok(Measured { memory_kib, iterations, p50, p95, hashes_per_s: hashes / elapsed })
}

/// How many times as long a hash takes whose memory is allocated for it, as it
/// was before there was a pool: floor parameters, on one thread.
///
/// # Errors
/// argon2 refused, or there are no random numbers.
pub fn reuse_gain() -> Result<f64, HashFailure> {
    let params = Params::default();
    let memory = Memory::new(params.block_count());
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let fresh = |password: &Password| {
        let mut tag = [0; 32];
        argon2.hash_password_into(password.expose().as_bytes(), &[7; 16], &mut tag)
    };
    let (mut reused_s, mut fresh_s) = (0.0, 0.0);
    // In turns, so that both meet the same machine.
    for _ in 0..3 {
        let reused = times(PAIR_TIME, |password| phc::hash(&params, password, &memory).map(drop))?;
        reused_s += quantile(&sorted(reused), 50).as_secs_f64();
        let fresh = times(PAIR_TIME, |password| fresh(password).map_err(HashFailure::Refused))?;
        fresh_s += quantile(&sorted(fresh), 50).as_secs_f64();
    }
    Ok(fresh_s / reused_s)
}

fn times(
    time: Duration,
    mut hash: impl FnMut(&Password) -> Result<(), HashFailure>,
) -> Result<Vec<Duration>, HashFailure> {
    let password = Password::attempt("correct horse battery staple".to_owned());
    let began = Instant::now();
    let mut times = Vec::new();
    while times.len() < HASHES_MIN || began.elapsed() < time {
        let started = Instant::now();
        hash(&password)?;
        times.push(started.elapsed());
    }
    Ok(times)
}

fn sorted(mut times: Vec<Duration>) -> Vec<Duration> {
    times.sort_unstable();
    times
}

fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(memory_kib: u32, iterations: u32, p95_ms: u64) -> Measured {
        let p95 = Duration::from_millis(p95_ms);
        Measured { memory_kib, iterations, p50: p95, p95, hashes_per_s: 1.0 }
    }

    #[test]
    fn the_strongest_within_the_target_is_proposed() {
        let all = [
            measured(7_168, 5, 30),
            measured(19_456, 2, 31),
            measured(65_536, 1, 50),
            measured(65_536, 2, 101),
        ];
        let proposed = |ms| propose(&all, Duration::from_millis(ms)).unwrap();
        assert_eq!(proposed(100), all[2]);
        assert_eq!(proposed(1_000), all[3]);
        assert_eq!(proposed(31), all[1], "more work");
        assert_eq!(proposed(1), all[0], "the floor's fastest, never less");
        assert_eq!(propose(&[], Duration::ZERO), None);
    }

    #[test]
    fn quantiles_are_of_the_times_that_were_seen() {
        let times: Vec<Duration> = (1..=20).map(Duration::from_millis).collect();
        assert_eq!(quantile(&times, 50), Duration::from_millis(10));
        assert_eq!(quantile(&times, 95), Duration::from_millis(19));
        assert_eq!(quantile(&times[..1], 95), Duration::from_millis(1));
        assert_eq!(quantile(&[], 95), Duration::ZERO);
    }

    #[test]
    fn a_measurement_counts_what_all_threads_did() {
        let one = measure((64, 1), 2, PAIR_TIME).unwrap();
        assert!(one.p50 > Duration::ZERO && one.p50 <= one.p95, "{one:?}");
        assert!(one.hashes_per_s > 1.0, "{one:?}");
    }
}
