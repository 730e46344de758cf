//! The public keys a process knows, and how it learns of new ones.
//!
//! Keys are refreshed in the background. A token that names an unknown key asks
//! for them at once, once for all who wait, and not for 5 s after it was in
//! vain, so that a flood of invented ids costs one fetch. The keys that were fetched last
//! stay good while the source is unavailable: tokens are still checked when auth is down.
//!
//! When the process dies the keys are fetched again; until then the answer is
//! "no keys yet", which is no refusal of a token.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use onboard_runtime::{Availability, Backoff, Shutdown};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::jwk::{JwkSet, PublicKey};

/// The least time between two fetches that unknown keys ask for in vain.
const ASK_EVERY: Duration = Duration::from_secs(5);

type Fetching = Pin<Box<dyn Future<Output = Result<KeyRing, String>> + Send>>;
type Fetch = dyn Fn() -> Fetching + Send + Sync;

/// Public keys by their id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyRing(BTreeMap<String, PublicKey>);

impl KeyRing {
    /// The key with this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<PublicKey> {
        self.0.get(id).copied()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&JwkSet> for KeyRing {
    fn from(set: &JwkSet) -> Self {
        let keys = set.keys.iter();
        Self(keys.filter_map(|jwk| Some((jwk.kid.clone(), jwk.key()?))).collect())
    }
}

impl FromIterator<PublicKey> for KeyRing {
    fn from_iter<I: IntoIterator<Item = PublicKey>>(keys: I) -> Self {
        Self(keys.into_iter().map(|key| (key.id(), key)).collect())
    }
}

/// No key has been had yet, so nothing can be said of any token. Retryable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are no keys yet to check tokens with")]
pub struct NoKeys;

/// Keys from a source that may be away.
#[derive(Clone)]
pub struct PublicKeys(Arc<Inner>);

struct Inner {
    fetch: Box<Fetch>,
    source: Availability,
    ring: RwLock<Option<Arc<KeyRing>>>,
    /// When an unknown key last asked in vain. Held while one asks.
    asked: Mutex<Option<Instant>>,
}

impl PublicKeys {
    /// Keys that `fetch` gives, or says in words why not. It must end soon.
    pub fn new<F, Fut>(source: &'static str, fetch: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<KeyRing, String>> + Send + 'static,
    {
        Self(Arc::new(Inner {
            fetch: Box::new(move || Box::pin(fetch())),
            source: Availability::new(source),
            ring: RwLock::new(None),
            asked: Mutex::new(None),
        }))
    }

    /// The key with this id; an unknown one is asked for.
    ///
    /// # Errors
    /// See [`NoKeys`].
    pub async fn find(&self, id: &str) -> Result<Option<PublicKey>, NoKeys> {
        if let Some(key) = self.known(id) {
            return Ok(Some(key));
        }
        self.ask(id).await;
        match self.ring() {
            Some(ring) => Ok(ring.find(id)),
            None => Err(NoKeys),
        }
    }

    /// Fetches the keys now. Returns whether that worked.
    pub async fn refresh(&self) -> bool {
        match (self.0.fetch)().await {
            Ok(ring) if !ring.is_empty() => {
                self.0.source.up();
                *self.0.ring.write().unwrap_or_else(PoisonError::into_inner) = Some(ring.into());
                true
            }
            Ok(_) => {
                self.0.source.down(&"it has no keys");
                false
            }
            Err(cause) => {
                self.0.source.down(&cause);
                false
            }
        }
    }

    /// Refreshes until the shutdown begins, sooner after a failure.
    pub async fn run(self, every: Duration, shutdown: Shutdown) {
        let mut backoff = Backoff::new(Duration::from_millis(500), every);
        loop {
            let wait = match shutdown.or(self.refresh()).await {
                None => return,
                Some(true) => {
                    backoff.succeeded();
                    every
                }
                Some(false) => backoff.failed(),
            };
            if !shutdown.sleep(wait).await {
                return;
            }
        }
    }

    async fn ask(&self, id: &str) {
        let mut asked = self.0.asked.lock().await;
        // Somebody may have asked while this one waited.
        let recent = asked.is_some_and(|at| at.elapsed() < ASK_EVERY);
        if self.known(id).is_some() || recent {
            return;
        }
        self.refresh().await;
        // Only what was in vain counts: two rotations in a row are no flood.
        *asked = self.known(id).is_none().then(Instant::now);
    }

    fn known(&self, id: &str) -> Option<PublicKey> {
        self.ring().and_then(|ring| ring.find(id))
    }

    fn ring(&self) -> Option<Arc<KeyRing>> {
        self.0.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl std::fmt::Debug for PublicKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PublicKeys").field(&self.0.source).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SigningKey;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn key() -> PublicKey {
        *SigningKey::read(&SigningKey::generate().unwrap()).unwrap().public()
    }

    /// A source that counts, and whose keys can be changed or taken away.
    #[derive(Clone, Default)]
    struct Source {
        keys: Arc<std::sync::Mutex<Option<Vec<PublicKey>>>>,
        fetches: Arc<AtomicUsize>,
    }

    impl Source {
        fn has(&self, keys: Option<&[PublicKey]>) {
            *self.keys.lock().unwrap() = keys.map(<[_]>::to_vec);
        }

        fn fetches(&self) -> usize {
            self.fetches.load(Ordering::SeqCst)
        }

        fn keys(&self) -> PublicKeys {
            let source = self.clone();
            PublicKeys::new("auth", move || {
                let source = source.clone();
                async move {
                    source.fetches.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    let keys = source.keys.lock().unwrap().clone();
                    keys.map(KeyRing::from_iter).ok_or_else(|| "away".to_owned())
                }
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_unknown_keys_is_one_fetch() {
        let (source, own) = (Source::default(), key());
        source.has(Some(&[own]));
        let keys = source.keys();
        let ask = |id: String| {
            let keys = keys.clone();
            async move { keys.find(&id).await }
        };
        let (one, two, own_found) =
            tokio::join!(ask("one".into()), ask("two".into()), ask(own.id()));
        assert_eq!((one, two, own_found), (Ok(None), Ok(None), Ok(Some(own))));
        assert_eq!(source.fetches(), 1);
        tokio::time::advance(ASK_EVERY).await;
        assert_eq!(keys.find("three").await, Ok(None));
        assert_eq!(source.fetches(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_key_is_had_at_once_and_a_removed_one_goes() {
        let (source, old, new) = (Source::default(), key(), key());
        source.has(Some(&[old]));
        let keys = source.keys();
        assert!(keys.refresh().await);
        source.has(Some(&[new]));
        assert_eq!(keys.find(&new.id()).await, Ok(Some(new)));
        source.has(Some(&[old]));
        assert_eq!(keys.find(&old.id()).await, Ok(Some(old)), "not in vain, so asked again");
        assert_eq!(keys.find(&new.id()).await, Ok(None));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_keys_stay_while_the_source_is_away() {
        let (source, own) = (Source::default(), key());
        let keys = source.keys();
        assert_eq!(keys.find(&own.id()).await, Err(NoKeys));
        source.has(Some(&[own]));
        assert!(keys.refresh().await);
        source.has(None);
        assert!(!keys.refresh().await);
        assert_eq!(keys.find(&own.id()).await, Ok(Some(own)));
        source.has(Some(&[]));
        assert!(!keys.refresh().await, "an empty set is no set");
        assert_eq!(keys.find(&own.id()).await, Ok(Some(own)));
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_refreshed_in_the_background_until_the_shutdown() {
        let (source, own) = (Source::default(), key());
        let (keys, shutdown) = (source.keys(), Shutdown::new());
        #[expect(clippy::disallowed_methods, reason = "the test awaits it")]
        let running = tokio::spawn(keys.clone().run(Duration::from_mins(1), shutdown.clone()));
        while source.fetches() < 3 {
            tokio::time::advance(Duration::from_millis(100)).await;
            tokio::task::yield_now().await;
        }
        source.has(Some(&[own]));
        while keys.known(&own.id()).is_none() {
            tokio::time::advance(Duration::from_millis(100)).await;
            tokio::task::yield_now().await;
        }
        shutdown.begin();
        running.await.unwrap();
    }
}
