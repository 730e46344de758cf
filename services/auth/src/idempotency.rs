//! `Idempotency-Key`: a client that does not know whether its request
//! succeeded sends it again with the same key and hears what became of the
//! first one (draft-ietf-httpapi-idempotency-key-header).
//!
//! Neither the key nor the request is kept: the store gets keyed hashes (HMAC),
//! under keys derived from the service's secret. A plain hash of a request that
//! holds a password could be guessed at. A record that was made under a secret of before is
//! recognised by the hashes of that secret.
//!
//! This process remembers the keys of the requests it works on. Another
//! process, and this one after a restart, meets the key in the store.

mod header;
mod in_flight;

use std::time::Duration;

use onboard_http::{Kind, Problem};
use onboard_runtime::Secret;
use onboard_runtime::memory::wipe_stack;
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretSlice};

use crate::email::Email;
use crate::password::Password;
use crate::store::{KeyHashes, KeyRecord, NewKey};
pub(crate) use header::IdempotencyKey;
use in_flight::{InFlight, Place};

/// Makes and compares the hashes, and knows what is in flight here.
#[derive(Debug)]
pub(crate) struct IdempotencyKeys {
    current: Hashing,
    /// Under the secrets of before.
    previous: Vec<Hashing>,
    lifetime: Duration,
    in_flight: InFlight,
}

/// The keys of one secret.
#[derive(Debug)]
struct Hashing {
    ids: hmac::Key,
    fingerprints: hmac::Key,
}

/// A request with a key, in flight until this is dropped.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) new: NewKey,
    _place: Place,
}

impl IdempotencyKeys {
    pub(crate) fn new(secret: &Secret, lifetime: Duration) -> Self {
        let (ids, fingerprints) =
            (secret.derive("idempotency keys"), secret.derive("request fingerprints"));
        let previous = ids.previous.iter().zip(&fingerprints.previous);
        Self {
            current: Hashing::new(&ids.current, &fingerprints.current),
            previous: previous.map(|(ids, prints)| Hashing::new(ids, prints)).collect(),
            lifetime,
            in_flight: InFlight::default(),
        }
    }

    /// Begins a request with this key.
    ///
    /// # Errors
    /// 409 while another one with the key is in flight here.
    pub(crate) fn begin(
        &self,
        key: &IdempotencyKey,
        email: &Email,
        password: &Password,
    ) -> Result<Attempt, Problem> {
        let hashes = self.current.hashes(key, email, password);
        let place = self.in_flight.enter(hashes.id);
        let place = place.ok_or(Problem::new(Kind::IdempotencyKeyInFlight))?;
        let previous = self.previous.iter().map(|of| of.hashes(key, email, password)).collect();
        let new = NewKey { hashes, previous, lifetime: self.lifetime };
        Ok(Attempt { new, _place: place })
    }
}

impl Hashing {
    fn new(ids: &SecretSlice<u8>, fingerprints: &SecretSlice<u8>) -> Self {
        let key = |key: &SecretSlice<u8>| hmac::Key::new(hmac::HMAC_SHA256, key.expose_secret());
        Self { ids: key(ids), fingerprints: key(fingerprints) }
    }

    fn hashes(&self, key: &IdempotencyKey, email: &Email, password: &Password) -> KeyHashes {
        KeyHashes {
            id: bytes(hmac::sign(&self.ids, key.as_str().as_bytes())),
            fingerprint: bytes(self.fingerprint(email, password)),
        }
    }

    /// Each part with its length before it, so that no two requests run
    /// together into the same bytes.
    fn fingerprint(&self, email: &Email, password: &Password) -> hmac::Tag {
        let mut content = hmac::Context::with_key(&self.fingerprints);
        for part in [email.given(), password.sent()] {
            content.update(&(part.len() as u64).to_be_bytes());
            content.update(part.as_bytes());
        }
        let tag = content.sign();
        // The hash kept the end of the password in a block of its own.
        wipe_stack();
        tag
    }
}

impl Attempt {
    /// Whether the record is of the same request; in time that does not depend
    /// on where they differ.
    pub(crate) fn is_repeat_of(&self, record: &KeyRecord) -> bool {
        let all = self.new.all().map(|hashes| is_same(&hashes.fingerprint, &record.fingerprint));
        all.fold(false, |found, same| found | same)
    }
}

fn is_same(ours: &[u8; 32], theirs: &[u8]) -> bool {
    let differ = ours.iter().zip(theirs).fold(0, |differ, (a, b)| differ | (a ^ b));
    std::hint::black_box(differ) == 0 && ours.len() == theirs.len()
}

/// A tag of HMAC-SHA-256.
fn bytes(tag: hmac::Tag) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

#[cfg(test)]
mod tests;
