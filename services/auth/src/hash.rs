//! Password hashing: argon2id, off the async runtime, in a bounded pool (`pool`).
//!
//! A hash takes much memory and time on purpose. At most `HASH_THREADS` run at
//! once and at most `HASH_QUEUE` wait; beyond that the answer is "overloaded"
//! at once, so that a flood of registrations costs neither memory nor the
//! health endpoints. A client that goes away frees its place in the queue; a
//! hash that has begun keeps its place until it ends. A quarter of the queue is kept for
//! logins, and threads take logins and registrations in turns, so that a flood of
//! registrations keeps nobody from logging in.
//!
//! The memory of a hash is used again by the next one (`memory`): at most
//! `HASH_THREADS` buffers exist, and all are wiped as soon as no hash waits.
//! Nothing survives the process.

pub mod calibrate;
mod memory;
mod phc;
mod pool;
mod settings;

use std::sync::Arc;
use std::time::Instant;

use argon2::Params;
use onboard_runtime::memory::wipe_stack;

use self::memory::Memory;
use self::pool::Pool;
pub use self::pool::Purpose;
use crate::password::Password;
pub use phc::HashFailure;
pub use settings::{HashArgs, HashConfig};

/// Hashes and verifies passwords.
#[derive(Debug, Clone)]
pub struct Hasher {
    params: Params,
    pool: Arc<Pool>,
    memory: Arc<Memory>,
    decoy: Arc<str>,
}

/// A password was not hashed or not compared.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// Too many wait already. Retryable.
    #[error("too many passwords wait to be hashed")]
    Overloaded,
    /// argon2 refused, the system has no random numbers, or the stored hash
    /// cannot be used.
    #[error("the password could not be hashed")]
    Failed(#[source] HashFailure),
    /// It panicked.
    #[error("the hashing thread died")]
    Died,
}

impl Hasher {
    /// A pool of the configured size.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn new(config: &HashConfig) -> std::io::Result<Self> {
        let memory = Arc::new(Memory::new(config.params.block_count()));
        let unused = Arc::clone(&memory);
        let pool = Pool::new(config.threads, config.queue, move || unused.wipe())?;
        Ok(Self {
            params: config.params.clone(),
            pool: Arc::new(pool),
            memory,
            decoy: phc::decoy(&config.params).into(),
        })
    }

    /// The hash as a PHC string, with its own random salt.
    ///
    /// # Errors
    /// See [`HashError`].
    pub async fn hash(&self, password: Password, purpose: Purpose) -> Result<String, HashError> {
        let params = self.params.clone();
        self.run(purpose, "hash", move |memory| phc::hash(&params, &password, memory)).await
    }

    /// Whether the password is the one that was hashed. The stored parameters
    /// count, not today's settings; a hash that was cheaper takes as long as one of
    /// today. The comparison takes constant time.
    ///
    /// # Errors
    /// See [`HashError`]; a PHC string that is not argon2id, or asks for more
    /// work than any setting allows, is refused and not obeyed.
    pub async fn verify(&self, password: Password, phc: String) -> Result<bool, HashError> {
        let today = self.params.clone();
        self.run(Purpose::Login, "verify", move |memory| {
            phc::verify(&phc, &password, &today, memory)
        })
        .await
    }

    /// A PHC string with today's parameters that no password fits. Verifying
    /// against it takes the time of an account that exists.
    #[must_use]
    pub fn decoy(&self) -> &str {
        &self.decoy
    }

    /// Whether a stored hash is one that [`Self::verify`] obeys.
    #[must_use]
    pub fn can_verify(&self, phc: &str) -> bool {
        phc::check(phc)
            .inspect_err(|error| tracing::error!(%error, "a hash counts as absent"))
            .is_ok()
    }

    /// Whether a stored hash is weaker than today's parameters, so that it
    /// should be replaced when the password is at hand.
    #[must_use]
    pub fn needs_rehash(&self, phc: &str) -> bool {
        phc::is_weaker(phc, &self.params)
    }

    async fn run<T: Send + 'static>(
        &self,
        purpose: Purpose,
        operation: &'static str,
        work: impl FnOnce(&Memory) -> Result<T, HashFailure> + Send + 'static,
    ) -> Result<T, HashError> {
        let memory = self.memory.clone();
        let hashed = self.pool.run(purpose, move || {
            let started = Instant::now();
            let done = work(&memory);
            // argon2's first block of work was a copy of the password.
            wipe_stack();
            let seconds = started.elapsed().as_secs_f64();
            metrics::histogram!("password_hash_seconds", "operation" => operation).record(seconds);
            done
        });
        hashed.await?.map_err(HashError::Failed)
    }
}

#[cfg(test)]
mod tests;
