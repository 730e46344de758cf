//! Private keys under the secret: ChaCha20-Poly1305 with a random nonce and
//! the key's id as associated data, so that what is in the database is of no
//! use without the secret and belongs to no other row.

use onboard_runtime::Secret;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::{ExposeSecret, SecretSlice};

const PURPOSE: &str = "signing keys";

/// Wraps and opens private keys.
pub(super) struct Wrapper {
    seals: LessSafeKey,
    /// Those of the secrets before.
    opens: Vec<LessSafeKey>,
}

/// Which secret a key is sealed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealedBy {
    /// `AUTH_SECRET`.
    Current,
    /// One of `AUTH_SECRET_PREVIOUS`.
    Previous,
}

/// A private key.
pub(super) struct Opened {
    pub(super) private: SecretSlice<u8>,
    pub(super) sealed_by: SealedBy,
}

impl Wrapper {
    pub(super) fn new(secret: &Secret) -> Option<Self> {
        let of = |key: &SecretSlice<u8>| {
            let key = UnboundKey::new(&CHACHA20_POLY1305, key.expose_secret()).ok()?;
            Some(LessSafeKey::new(key))
        };
        let keys = secret.derive(PURPOSE);
        let opens = keys.previous.iter().map(of).collect::<Option<_>>()?;
        Some(Self { seals: of(&keys.current)?, opens })
    }

    /// Nonce, ciphertext and tag; `None` without random numbers.
    pub(super) fn wrap(&self, id: &str, private: &SecretSlice<u8>) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut sealed = private.expose_secret().to_vec();
        let aad = Aad::from(id.as_bytes());
        let unique = Nonce::assume_unique_for_key(nonce);
        self.seals.seal_in_place_append_tag(unique, aad, &mut sealed).ok()?;
        Some([&nonce[..], &sealed].concat())
    }

    /// The private key; `None` when no secret is the right one, or the row was
    /// touched.
    pub(super) fn open(&self, id: &str, wrapped: &[u8]) -> Option<Opened> {
        let current = std::iter::once((&self.seals, SealedBy::Current));
        let previous = self.opens.iter().map(|key| (key, SealedBy::Previous));
        let mut all = current.chain(previous);
        all.find_map(|(key, sealed_by)| {
            open(key, id, wrapped).map(|private| Opened { private, sealed_by })
        })
    }
}

fn open(key: &LessSafeKey, id: &str, wrapped: &[u8]) -> Option<SecretSlice<u8>> {
    let (nonce, sealed) = wrapped.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut sealed = sealed.to_vec();
    let private = key.open_in_place(nonce, Aad::from(id.as_bytes()), &mut sealed).ok()?;
    Some(SecretSlice::from(private.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use onboard_runtime::{Problems, SecretArgs};

    fn wrapper(text: &str) -> Wrapper {
        with_previous(text, &[])
    }

    fn with_previous(text: &str, previous: &[&str]) -> Wrapper {
        let previous: Vec<String> = previous.iter().map(|one| one.repeat(32)).collect();
        let args = SecretArgs {
            auth_secret: Some(text.repeat(32)),
            auth_secret_previous: Some(previous.join(",")),
            ..SecretArgs::default()
        };
        Wrapper::new(&args.check(&mut Problems::default()).unwrap()).unwrap()
    }

    #[test]
    fn the_first_secret_seals_and_each_opens() {
        let private = SecretSlice::from(vec![7; 83]);
        let both = with_previous("new", &["old", "older"]);
        for (secret, sealed_by) in
            [("new", SealedBy::Current), ("old", SealedBy::Previous), ("older", SealedBy::Previous)]
        {
            let wrapped = wrapper(secret).wrap("one", &private).unwrap();
            let opened = both.open("one", &wrapped).unwrap();
            assert_eq!(
                (opened.private.expose_secret(), opened.sealed_by),
                (&[7; 83][..], sealed_by)
            );
            let rewrapped = both.wrap("one", &opened.private).unwrap();
            let alone = wrapper("new").open("one", &rewrapped).unwrap();
            assert_eq!(alone.sealed_by, SealedBy::Current, "the new one alone opens it");
        }
        let foreign = wrapper("another").wrap("one", &private).unwrap();
        assert!(both.open("one", &foreign).is_none());
    }

    #[test]
    fn a_key_opens_with_its_secret_and_its_id_only() {
        let (ours, other) = (wrapper("a"), wrapper("b"));
        let private = SecretSlice::from(vec![7; 83]);
        let wrapped = ours.wrap("one", &private).unwrap();
        assert_ne!(wrapped, ours.wrap("one", &private).unwrap(), "the nonce is random");
        assert!(!wrapped.windows(8).any(|window| window == [7; 8]));
        assert_eq!(ours.open("one", &wrapped).unwrap().private.expose_secret(), [7; 83]);
        assert!(ours.open("two", &wrapped).is_none());
        assert!(other.open("one", &wrapped).is_none());
        for index in [0, 12, wrapped.len() - 1] {
            let mut touched = wrapped.clone();
            touched[index] ^= 1;
            assert!(ours.open("one", &touched).is_none(), "{index}");
        }
        assert!(ours.open("one", &wrapped[..11]).is_none());
    }
}
