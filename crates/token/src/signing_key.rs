//! A key pair that signs tokens. Where it is kept is another matter.

use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use secrecy::{ExposeSecret, SecretSlice};

use crate::jwk::PublicKey;

/// An Ed25519 key pair with its id.
pub struct SigningKey {
    id: String,
    public: PublicKey,
    pair: Ed25519KeyPair,
}

/// A key pair could not be made or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The system has no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// It is no Ed25519 key pair in PKCS#8.
    #[error("the private key cannot be read")]
    Unreadable,
}

impl SigningKey {
    /// The private half of a new key, in PKCS#8 (RFC 8410).
    ///
    /// # Errors
    /// See [`KeyError::Random`].
    pub fn generate() -> Result<SecretSlice<u8>, KeyError> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        let pkcs8 = pkcs8.map_err(|_| KeyError::Random)?;
        Ok(SecretSlice::from(pkcs8.as_ref().to_vec()))
    }

    /// Reads a private key.
    ///
    /// # Errors
    /// See [`KeyError::Unreadable`].
    pub fn read(pkcs8: &SecretSlice<u8>) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.expose_secret());
        let pair = pair.map_err(|_| KeyError::Unreadable)?;
        let public = PublicKey::from_bytes(pair.public_key().as_ref());
        let public = public.ok_or(KeyError::Unreadable)?;
        Ok(Self { id: public.id(), public, pair })
    }

    /// Its id: the thumbprint of the public half (RFC 7638).
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn sign(&self, message: &[u8]) -> impl AsRef<[u8]> + use<> {
        self.pair.sign(message)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_and_never_printed() {
        let private = SigningKey::generate().unwrap();
        let (one, two) = (SigningKey::read(&private).unwrap(), SigningKey::read(&private).unwrap());
        assert_eq!(one.id(), two.id());
        assert_eq!(one.id().len(), 43);
        assert_eq!(format!("{one:?}"), format!("SigningKey {{ id: {:?}, .. }}", one.id()));
        let other = SigningKey::read(&SigningKey::generate().unwrap()).unwrap();
        assert_ne!(other.id(), one.id());
        let broken = SecretSlice::from(vec![1; 83]);
        assert_eq!(SigningKey::read(&broken).unwrap_err(), KeyError::Unreadable);
    }
}
