//! Private keys under the secret: ChaCha20-Poly1305 with a random nonce and
//! the key's id as associated data, so that what is in the database is of no
//! use without the secret and belongs to no other row.

use onboard_runtime::Secret;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::{ExposeSecret, SecretSlice};

const PURPOSE: &str = "signing keys";

/// Wraps and opens private keys.
pub(super) struct Wrapper(LessSafeKey);

impl Wrapper {
    pub(super) fn new(secret: &Secret) -> Option<Self> {
        let key = secret.derive(PURPOSE);
        let key = UnboundKey::new(&CHACHA20_POLY1305, key.expose_secret()).ok()?;
        Some(Self(LessSafeKey::new(key)))
    }

    /// Nonce, ciphertext and tag; `None` without random numbers.
    pub(super) fn wrap(&self, id: &str, private: &SecretSlice<u8>) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut sealed = private.expose_secret().to_vec();
        let aad = Aad::from(id.as_bytes());
        let unique = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_append_tag(unique, aad, &mut sealed).ok()?;
        Some([&nonce[..], &sealed].concat())
    }

    /// The private key; `None` when the secret is another, or the row was
    /// touched.
    pub(super) fn open(&self, id: &str, wrapped: &[u8]) -> Option<SecretSlice<u8>> {
        let (nonce, sealed) = wrapped.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = sealed.to_vec();
        let private = self.0.open_in_place(nonce, Aad::from(id.as_bytes()), &mut sealed).ok()?;
        Some(SecretSlice::from(private.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onboard_runtime::{Problems, SecretArgs};

    fn wrapper(text: &str) -> Wrapper {
        let args = SecretArgs { auth_secret: Some(text.repeat(32)), auth_secret_file: None };
        Wrapper::new(&args.check(&mut Problems::default()).unwrap()).unwrap()
    }

    #[test]
    fn a_key_opens_with_its_secret_and_its_id_only() {
        let (ours, other) = (wrapper("a"), wrapper("b"));
        let private = SecretSlice::from(vec![7; 83]);
        let wrapped = ours.wrap("one", &private).unwrap();
        assert_ne!(wrapped, ours.wrap("one", &private).unwrap(), "the nonce is random");
        assert!(!wrapped.windows(8).any(|window| window == [7; 8]));
        assert_eq!(ours.open("one", &wrapped).unwrap().expose_secret(), [7; 83]);
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
