//! How hard passwords are to guess, and how many are hashed at once.

use std::num::NonZero;
use std::thread::available_parallelism;

use argon2::Params;
use onboard_runtime::Problems;

/// Equally strong least pairs of memory (KiB) and iterations (OWASP Password
/// Storage Cheat Sheet, argon2id).
pub(super) const FLOOR: [(u32, u32); 5] =
    [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

/// The most a hash may ask for, by settings or by a stored hash.
pub(super) const MEMORY_KIB_MAX: u32 = 1_048_576;
pub(super) const ITERATIONS_MAX: u32 = 64;
pub(super) const LANES_MAX: u32 = 16;
/// KiB times passes: some seconds of one CPU.
pub(super) const WORK_MAX: u64 = 4 * 1_048_576;

/// Settings of password hashing.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Password hashing")]
pub struct HashArgs {
    /// Memory of one hash in KiB, up to 1048576. With the iterations it may not
    /// be weaker than 47104/1, 19456/2, 12288/3, 9216/4 or 7168/5. Default: 19456.
    #[arg(long, env = "ARGON2_MEMORY_KIB", hide_env_values = true)]
    pub argon2_memory_kib: Option<String>,
    /// Passes over the memory, 1 to 64. Default: 2.
    #[arg(long, env = "ARGON2_ITERATIONS", hide_env_values = true)]
    pub argon2_iterations: Option<String>,
    /// Lanes of one hash, 1 to 16. Default: 1.
    #[arg(long, env = "ARGON2_PARALLELISM", hide_env_values = true)]
    pub argon2_parallelism: Option<String>,
    /// Passwords hashed at the same time, 1 to 256. Default: the number of CPUs.
    #[arg(long, env = "HASH_THREADS", hide_env_values = true)]
    pub hash_threads: Option<String>,
    /// Passwords that may wait to be hashed, 0 to 10000; more are answered with
    /// 503. A quarter of them is kept for logins, and one for registrations. Default: 64.
    #[arg(long, env = "HASH_QUEUE", hide_env_values = true)]
    pub hash_queue: Option<String>,
    /// `yes` allows weaker hashes, for tests and benches only. Default: `no`.
    #[arg(long, env = "ONBOARD_INSECURE_HASHING", hide_env_values = true)]
    pub insecure_hashing: Option<String>,
}

/// Checked settings of password hashing.
#[derive(Debug, Clone)]
pub struct HashConfig {
    pub(crate) params: Params,
    pub(crate) threads: usize,
    pub(crate) queue: usize,
}

impl HashConfig {
    /// What all hashes at once take with these parameters, in bytes.
    pub(crate) fn memory_max(&self) -> u64 {
        let threads = u64::try_from(self.threads).unwrap_or(u64::MAX);
        threads.saturating_mul(u64::from(self.params.m_cost()) * 1024)
    }
}

impl HashArgs {
    /// Checks the settings.
    pub fn check(self, problems: &mut Problems) -> Option<HashConfig> {
        let params = self.params(problems);
        let threads = self.hash_threads.as_deref();
        let threads = problems.number_or("HASH_THREADS", threads, cpus(), 1..=256);
        let queue = problems.number_or("HASH_QUEUE", self.hash_queue.as_deref(), 64, 0..=10_000);
        Some(HashConfig { params: params?, threads: threads as usize, queue: queue as usize })
    }

    /// Says what may not be used in production.
    pub(crate) fn refuse_in_production(&self, problems: &mut Problems) {
        if self.insecure_hashing.as_deref() == Some("yes") {
            problems.push("ONBOARD_INSECURE_HASHING", "is refused in production");
        }
    }

    fn params(&self, problems: &mut Problems) -> Option<Params> {
        let memory = self.argon2_memory_kib.as_deref();
        let memory = problems.number_or("ARGON2_MEMORY_KIB", memory, 19_456, 8..=MEMORY_KIB_MAX);
        let iterations = self.argon2_iterations.as_deref();
        let iterations = problems.number_or("ARGON2_ITERATIONS", iterations, 2, 1..=ITERATIONS_MAX);
        let lanes = self.argon2_parallelism.as_deref();
        let lanes = problems.number_or("ARGON2_PARALLELISM", lanes, 1, 1..=LANES_MAX);
        let insecure = self.insecure(problems);
        let enough = FLOOR.iter().any(|&(m, t)| memory >= m && iterations >= t);
        match (enough, insecure) {
            (true, _) => (),
            (false, true) => {
                problems.warn("ONBOARD_INSECURE_HASHING", "passwords are hashed weakly");
            }
            (false, false) => problems.push(
                "ARGON2_MEMORY_KIB",
                format!("{memory} KiB with {iterations} iterations is too weak to keep passwords"),
            ),
        }
        if u64::from(memory) * u64::from(iterations) > WORK_MAX {
            let text = format!("{memory} KiB with {iterations} iterations takes too long");
            problems.push("ARGON2_MEMORY_KIB", text);
        }
        Params::new(memory, iterations, lanes, None)
            .map_err(|error| problems.push("ARGON2_MEMORY_KIB", error))
            .ok()
    }

    fn insecure(&self, problems: &mut Problems) -> bool {
        match self.insecure_hashing.as_deref() {
            Some("yes") => true,
            None | Some("no") => false,
            Some(_) => {
                problems.push("ONBOARD_INSECURE_HASHING", "must be yes or no");
                false
            }
        }
    }
}

fn cpus() -> u32 {
    let cpus = available_parallelism().map_or(1, NonZero::get);
    u32::try_from(cpus).unwrap_or(1).min(256)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(memory: &str, iterations: &str, insecure: &str) -> Result<HashConfig, String> {
        let args = HashArgs {
            argon2_memory_kib: Some(memory.into()),
            argon2_iterations: Some(iterations.into()),
            insecure_hashing: Some(insecure.into()),
            ..HashArgs::default()
        };
        let mut problems = Problems::default();
        let config = args.check(&mut problems);
        problems.finish(config).map_err(|error| error.to_string())
    }

    #[test]
    fn weak_hashes_need_a_word() {
        assert!(check("19456", "2", "no").is_ok());
        assert!(check("7168", "5", "no").is_ok());
        assert!(check("65536", "1", "no").is_ok());
        assert!(check("19455", "2", "no").unwrap_err().contains("too weak"));
        assert!(check("7167", "64", "no").unwrap_err().contains("too weak"));
        assert!(check("8", "1", "yes").is_ok());
        assert!(check("8", "1", "true").unwrap_err().contains("must be yes or no"));
        assert!(check("7", "1", "yes").unwrap_err().contains("must lie between"));
        assert!(check("1048576", "4", "no").is_ok());
        assert!(check("1048576", "5", "no").unwrap_err().contains("takes too long"));
    }

    #[test]
    fn the_default_is_the_recommended_one() {
        let config = HashArgs::default().check(&mut Problems::default()).unwrap();
        let params = (config.params.m_cost(), config.params.t_cost(), config.params.p_cost());
        assert_eq!(params, (19_456, 2, 1));
        assert_eq!((config.threads, config.queue), (cpus() as usize, 64));
    }
}
