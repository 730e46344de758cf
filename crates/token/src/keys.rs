//! The public keys a process knows, and how it learns of new ones.
//!
//! Keys are refreshed in the background. A token that names an unknown key asks
//! for them at once, once for all who wait, and not for 5 s after it was in
//! vain, so that a flood of invented ids costs one fetch. The keys that were fetched last
//! stay good while the source is unavailable: those of the process itself without a bound,
//! those of another process for a time (`JWKS_KEYS_AGE_MAX`), since one of them may have been
//! removed meanwhile. So tokens are still checked when auth is down, and not for ever.
//!
//! When the process dies the keys are fetched again; until then, and when they are too
//! old, the answer is "no keys", which is no refusal of a token.

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

/// No key has been had yet, or the last ones are too old, so nothing can be said of any
/// token. Retryable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are no keys to check tokens with")]
pub struct NoKeys;

/// Keys from a source that may be away.
#[derive(Clone)]
pub struct PublicKeys(Arc<Inner>);

struct Inner {
    fetch: Box<Fetch>,
    source: Availability,
    /// How long after its fetch a key may be used; `None`: without end.
    age_max: Option<Duration>,
    held: RwLock<Option<Held>>,
    /// When the last fetch that worked began; at first, when this was made.
    fetched: RwLock<Instant>,
    /// When an unknown key last asked in vain. Held while one asks.
    asked: Mutex<Option<Instant>>,
}

/// Keys, and when their fetch began.
#[derive(Clone)]
struct Held {
    ring: Arc<KeyRing>,
    at: Instant,
}

impl PublicKeys {
    /// Keys that `fetch` gives, or says in words why not. It must end soon. They stay good
    /// until other ones are fetched.
    pub fn new<F, Fut>(source: &'static str, fetch: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<KeyRing, String>> + Send + 'static,
    {
        Self::fetched_by(source, None, Box::new(move || Box::pin(fetch())))
    }

    /// The same for keys that stay good for `age_max` after they were fetched.
    pub(crate) fn expiring<F, Fut>(source: &'static str, age_max: Duration, fetch: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<KeyRing, String>> + Send + 'static,
    {
        Self::fetched_by(source, Some(age_max), Box::new(move || Box::pin(fetch())))
    }

    fn fetched_by(source: &'static str, age_max: Option<Duration>, fetch: Box<Fetch>) -> Self {
        Self(Arc::new(Inner {
            fetch,
            source: Availability::new(source),
            age_max,
            held: RwLock::new(None),
            fetched: RwLock::new(Instant::now()),
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
        let worked = self.fetch().await;
        if let Some(age_max) = self.0.age_max {
            metrics::gauge!("keys_age_seconds").set(self.age().as_secs_f64());
            metrics::gauge!("keys_age_max_seconds").set(age_max.as_secs_f64());
        }
        worked
    }

    /// For how long no fetch has worked.
    fn age(&self) -> Duration {
        self.0.fetched.read().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    async fn fetch(&self) -> bool {
        let at = Instant::now();
        let why = match (self.0.fetch)().await {
            Ok(ring) if !ring.is_empty() => {
                self.0.source.up();
                let held = Held { ring: ring.into(), at };
                *self.0.held.write().unwrap_or_else(PoisonError::into_inner) = Some(held);
                *self.0.fetched.write().unwrap_or_else(PoisonError::into_inner) = at;
                return true;
            }
            Ok(_) => "it has no keys that may be used".to_owned(),
            Err(cause) => cause,
        };
        self.0.source.down(&why);
        self.drop_old();
        false
    }

    /// Gives up keys that are too old, and says so once.
    fn drop_old(&self) {
        let mut held = self.0.held.write().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(|held| !self.is_good(held)) {
            *held = None;
            tracing::error!(
                age_max = ?self.0.age_max,
                "the keys that were fetched last are too old: tokens are answered with 503"
            );
        }
    }

    fn is_good(&self, held: &Held) -> bool {
        self.0.age_max.is_none_or(|age_max| held.at.elapsed() < age_max)
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
        let held = self.0.held.read().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().filter(|held| self.is_good(held)).map(|held| held.ring.clone())
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
            PublicKeys::new("auth", move || source.clone().fetch())
        }

        async fn fetch(self) -> Result<KeyRing, String> {
            self.fetches.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            let keys = self.keys.lock().unwrap().clone();
            keys.map(KeyRing::from_iter).ok_or_else(|| "away".to_owned())
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
    async fn keys_that_cannot_be_fetched_again_are_good_for_their_time_and_no_longer() {
        const AGE_MAX: Duration = Duration::from_mins(10);
        let (source, own) = (Source::default(), key());
        source.has(Some(&[own]));
        let of = source.clone();
        let keys = PublicKeys::expiring("auth", AGE_MAX, move || of.clone().fetch());
        assert!(keys.refresh().await);
        source.has(None);
        for _ in 0..2 {
            tokio::time::advance(Duration::from_secs(299)).await;
            assert!(!keys.refresh().await);
            assert_eq!(keys.find(&own.id()).await, Ok(Some(own)));
        }
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(keys.find(&own.id()).await, Err(NoKeys), "whoever refreshes or not");
        // An answer without keys does not make the old ones younger.
        source.has(Some(&[]));
        assert!(!keys.refresh().await);
        assert_eq!(keys.find(&own.id()).await, Err(NoKeys));
        source.has(Some(&[own]));
        tokio::time::advance(ASK_EVERY).await;
        assert_eq!(keys.find(&own.id()).await, Ok(Some(own)), "the source is back");
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
