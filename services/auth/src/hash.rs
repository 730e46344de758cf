//! Password hashing: argon2id, off the async runtime, in a bounded pool.
//!
//! A hash takes much memory and time on purpose. At most `HASH_THREADS` run at
//! once and at most `HASH_QUEUE` wait; beyond that the answer is "overloaded"
//! at once, so that a flood of registrations costs neither memory nor the
//! health endpoints. A client that goes away frees its place in the queue; a
//! hash that has begun keeps its place until it ends.

mod settings;

use std::sync::Arc;
use std::time::Instant;

use argon2::password_hash::{self, PasswordHasher};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::password::Password;
pub use settings::{HashArgs, HashConfig};

/// Hashes passwords.
#[derive(Debug, Clone)]
pub struct Hasher {
    params: Params,
    /// Running or waiting.
    admitted: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

/// A password was not hashed.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// Too many wait already. Retryable.
    #[error("too many passwords wait to be hashed")]
    Overloaded,
    /// argon2 refused, or the system has no random numbers.
    #[error("the password could not be hashed")]
    Failed(#[source] password_hash::Error),
    /// The thread died.
    #[error("the hashing thread died")]
    Died(#[source] tokio::task::JoinError),
}

impl Hasher {
    /// A pool of the configured size.
    #[must_use]
    pub fn new(config: &HashConfig) -> Self {
        let (threads, queue) = (config.threads, config.queue);
        Self {
            params: config.params.clone(),
            admitted: Arc::new(Semaphore::new(threads + queue)),
            running: Arc::new(Semaphore::new(threads)),
        }
    }

    /// The hash as a PHC string, with its own random salt.
    ///
    /// # Errors
    /// See [`HashError`].
    pub async fn hash(&self, password: Password) -> Result<String, HashError> {
        let admitted = self.admitted.clone().try_acquire_owned();
        let admitted = admitted.map_err(|_| HashError::Overloaded)?;
        // Nobody closes the semaphore.
        let running = self.running.clone().acquire_owned().await;
        let running = running.map_err(|_| HashError::Overloaded)?;
        let params = self.params.clone();
        let hashing = tokio::task::spawn_blocking(move || {
            let hashed = hash(params, &password);
            drop((running, admitted));
            hashed
        });
        hashing.await.map_err(HashError::Died)?.map_err(HashError::Failed)
    }
}

fn hash(params: Params, password: &Password) -> Result<String, password_hash::Error> {
    let started = Instant::now();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let phc = argon2.hash_password(password.expose().as_bytes())?;
    metrics::histogram!("password_hash_seconds").record(started.elapsed().as_secs_f64());
    Ok(phc.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::PasswordVerifier;

    fn password() -> Password {
        Password::parse("correct horse".into(), None).unwrap()
    }

    fn hasher(threads: usize, queue: usize) -> Hasher {
        Hasher::new(&HashConfig { params: Params::new(64, 1, 1, None).unwrap(), threads, queue })
    }

    #[tokio::test]
    async fn a_hash_verifies_and_is_salted() {
        let hasher = hasher(2, 2);
        let (one, two) = tokio::join!(hasher.hash(password()), hasher.hash(password()));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_ne!(one, two);
        assert!(one.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{one}");
        let argon2 = Argon2::default();
        assert!(argon2.verify_password(b"correct horse", one.as_str()).is_ok());
        assert!(argon2.verify_password(b"Correct horse", one.as_str()).is_err());
    }

    #[tokio::test]
    async fn beyond_the_queue_the_answer_is_overloaded() {
        let hasher = hasher(1, 1);
        let busy = hasher.running.clone().acquire_owned().await.unwrap();
        let running = hasher.admitted.clone().acquire_owned().await.unwrap();
        let mut waiting = Box::pin(hasher.hash(password()));
        assert!(poll_once(waiting.as_mut()).await.is_none(), "it waits");
        assert!(matches!(hasher.hash(password()).await, Err(HashError::Overloaded)));
        drop(waiting);
        let waiting = hasher.hash(password());
        drop((busy, running));
        assert!(waiting.await.is_ok(), "a place was freed");
    }

    async fn poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
            std::task::Poll::Pending => std::task::Poll::Ready(None),
        })
        .await
    }
}
