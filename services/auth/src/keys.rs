//! The keys that sign access tokens, as the service has them in memory.
//!
//! They are read from MongoDB again and again, so that a rotation needs no
//! restart. The key that signs is the one with the youngest `signsFrom` that
//! has come; it was published long before. When the process dies nothing is
//! lost: the next one reads them again. While MongoDB is away the keys of the
//! last reading go on.

pub mod manage;

mod wrap;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use onboard_mongo::Mongo;
use onboard_runtime::availability::chain;
use onboard_runtime::{Check, Secret, Shutdown, clock};
use onboard_token::{Jwk, JwkSet, KeyRing, PublicKeys, SigningKey};

use crate::store::{KeyRow, SigningKeys};

pub use self::wrap::SealedBy;
use self::wrap::{Opened, Wrapper};

/// The keys in memory.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    held: Arc<RwLock<Held>>,
    public: PublicKeys,
}

#[derive(Debug, Default)]
struct Held {
    keys: Vec<Loaded>,
    problem: Option<String>,
}

#[derive(Debug, Clone)]
struct Loaded {
    key: Arc<SigningKey>,
    signs_from_ms: i64,
    gone_from_ms: Option<i64>,
}

impl Loaded {
    fn is_good(&self, now_ms: i64) -> bool {
        self.gone_from_ms.is_none_or(|gone| gone > now_ms)
    }
}

impl Keys {
    /// Keys that nobody has read yet: let [`Self::run`] do it.
    pub(crate) fn new(mongo: &Mongo, secret: &Secret) -> Self {
        let held = Arc::new(RwLock::new(Held {
            keys: Vec::new(),
            problem: Some("the signing keys have not been read yet".to_owned()),
        }));
        let reader = Arc::new(Reader {
            keys: SigningKeys::new(mongo),
            wrapper: Wrapper::new(secret),
            held: held.clone(),
        });
        let public = PublicKeys::new("signing keys", move || {
            let reader = reader.clone();
            async move { reader.read().await }
        });
        Self { held, public }
    }

    /// Reads the keys until the shutdown begins.
    pub(crate) async fn run(self, every: Duration, shutdown: Shutdown) {
        self.public.run(every, shutdown).await;
    }

    /// What tokens are checked with.
    pub(crate) const fn public(&self) -> &PublicKeys {
        &self.public
    }

    /// The key that signs now.
    pub(crate) fn signing(&self, now_ms: i64) -> Option<Arc<SigningKey>> {
        self.with(|held| sign_with(&held.keys, now_ms).map(|loaded| loaded.key.clone()))
    }

    /// What is published; `None` when there is nothing to publish.
    pub(crate) fn published(&self, now_ms: i64) -> Option<JwkSet> {
        let keys: Vec<Jwk> = self.with(|held| {
            let good = held.keys.iter().filter(|loaded| loaded.is_good(now_ms));
            good.map(|loaded| Jwk::publish(loaded.key.public())).collect()
        });
        if keys.is_empty() { None } else { Some(JwkSet { keys }) }
    }

    /// The readiness check.
    pub(crate) fn check(&self) -> Check {
        let keys = self.clone();
        Check::new("signing_keys", move || {
            let problem = keys.with(|held| held.problem.clone());
            async move { problem.map_or(Ok(()), Err) }
        })
    }

    fn with<T>(&self, look: impl FnOnce(&Held) -> T) -> T {
        look(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The youngest that has begun; before any has, the first that will: a clock
/// that is behind must not keep everybody out.
fn sign_with(keys: &[Loaded], now_ms: i64) -> Option<&Loaded> {
    let good = || keys.iter().filter(|loaded| loaded.is_good(now_ms));
    let begun = good().filter(|loaded| loaded.signs_from_ms <= now_ms);
    let begun = begun.max_by_key(|loaded| loaded.signs_from_ms);
    begun.or_else(|| good().min_by_key(|loaded| loaded.signs_from_ms))
}

/// Reads rows and opens them.
struct Reader {
    keys: SigningKeys,
    wrapper: Option<Wrapper>,
    held: Arc<RwLock<Held>>,
}

impl Reader {
    async fn read(&self) -> Result<KeyRing, String> {
        let found = self.keys.list(clock::now_ms()).await.map_err(|error| chain(&error))?;
        let mut closed = Vec::new();
        let mut keys = Vec::new();
        for row in found.rows {
            match self.wrapper.as_ref().and_then(|wrapper| open(wrapper, &row)) {
                Some(key) => keys.push(key),
                None => closed.push(row.id),
            }
        }
        let problem = problem(&keys, &closed);
        let ring = keys.iter().map(|loaded| *loaded.key.public()).collect();
        self.hold(Held { keys, problem: problem.clone() });
        match problem {
            Some(problem) if closed.is_empty() => Err(problem),
            _ => Ok(ring),
        }
    }

    fn hold(&self, new: Held) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(problem) = &new.problem
            && held.problem.as_ref() != Some(problem)
        {
            tracing::error!(problem, "not every signing key can be used");
        }
        *held = new;
    }
}

/// A key that does not open beside one that does is damaged, or of another secret:
/// `onboard keys list` and `doctor` name it, and nobody is kept out for it.
fn problem(keys: &[Loaded], closed: &[String]) -> Option<String> {
    if !keys.is_empty() {
        return None;
    }
    if closed.is_empty() {
        return Some("there is no signing key: run onboard setup".to_owned());
    }
    Some(format!(
        "AUTH_SECRET does not open signing key {}; where the secret was changed, \
         AUTH_SECRET_PREVIOUS names the one before",
        closed.join(", ")
    ))
}

/// The key of a row; `None` when no secret opens it, or it holds something else than the
/// row says.
fn opened(wrapper: &Wrapper, row: &KeyRow) -> Option<(SigningKey, Opened)> {
    let opened = wrapper.open(&row.id, &row.wrapped_key)?;
    let key = SigningKey::read(&opened.private).ok()?;
    let same = key.id() == row.id && key.public().as_bytes()[..] == row.public_key[..];
    same.then_some((key, opened))
}

fn open(wrapper: &Wrapper, row: &KeyRow) -> Option<Loaded> {
    let (key, _) = opened(wrapper, row)?;
    Some(Loaded {
        key: Arc::new(key),
        signs_from_ms: row.signs_from_ms,
        gone_from_ms: row.gone_from_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(signs_from_ms: i64, gone_from_ms: Option<i64>) -> Loaded {
        let key = SigningKey::read(&SigningKey::generate().unwrap()).unwrap();
        Loaded { key: Arc::new(key), signs_from_ms, gone_from_ms }
    }

    #[test]
    fn the_youngest_key_that_has_begun_signs() {
        let keys = [loaded(10, Some(40)), loaded(20, None), loaded(30, None)];
        let signs = |now| sign_with(&keys, now).map(|loaded| loaded.signs_from_ms);
        assert_eq!(signs(5), Some(10), "a clock that is behind");
        assert_eq!(signs(10), Some(10));
        assert_eq!(signs(19), Some(10));
        assert_eq!(signs(20), Some(20));
        assert_eq!(signs(99), Some(30));
        let gone = [loaded(10, Some(40))];
        assert!(sign_with(&gone, 39).is_some());
        assert!(sign_with(&gone, 40).is_none());
    }
}
