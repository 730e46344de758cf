//! The one secret of the accounts, and the keys that are derived from it.
//!
//! `AUTH_SECRET` is asked for by whoever signs, wraps or fingerprints. Each
//! purpose has a key of its own (HKDF-SHA-256, RFC 5869), so that nothing
//! learned about one helps with another.

use std::path::PathBuf;

use ring::hkdf;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use crate::Problems;

/// The fewest bytes of the secret.
const BYTES_MIN: usize = 32;
/// The secret of `docker-compose.yml`, which everybody knows.
pub const DEVELOPMENT: &str = "for-development-only-everybody-knows-this-secret";
/// The length of a derived key, in bytes.
pub const KEY_BYTES: usize = 32;

/// Settings of the secret.
#[derive(Clone, Default, clap::Args)]
#[command(next_help_heading = "Secret")]
pub struct SecretArgs {
    /// Secret that wraps the signing keys and keys the fingerprints of
    /// idempotency keys: at least 32 random bytes, for example from
    /// `openssl rand -hex 32`. Required; no default.
    #[arg(long, env = "AUTH_SECRET", hide_env_values = true)]
    pub auth_secret: Option<String>,
    /// File that holds the secret, instead of `AUTH_SECRET`.
    #[arg(long, env = "AUTH_SECRET_FILE")]
    pub auth_secret_file: Option<PathBuf>,
}

impl std::fmt::Debug for SecretArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretArgs").finish_non_exhaustive()
    }
}

impl SecretArgs {
    /// Checks the settings.
    pub fn check(self, problems: &mut Problems) -> Option<Secret> {
        let secret = problems.secret(
            "AUTH_SECRET",
            self.auth_secret.map(SecretString::from),
            self.auth_secret_file.as_deref(),
        )?;
        if secret.expose_secret().len() < BYTES_MIN {
            problems.push("AUTH_SECRET", format!("must have at least {BYTES_MIN} bytes"));
            return None;
        }
        Some(Secret(secret))
    }
}

/// The secret.
#[derive(Clone)]
pub struct Secret(SecretString);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// The key for a purpose, always the same for the same secret.
    #[must_use]
    pub fn derive(&self, purpose: &'static str) -> SecretSlice<u8> {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"onboard");
        let extracted = salt.extract(self.0.expose_secret().as_bytes());
        let info = [purpose.as_bytes()];
        let mut key = vec![0; KEY_BYTES];
        // Fails only for lengths over 255 hashes, or another than the type's.
        if let Ok(okm) = extracted.expand(&info, hkdf::HKDF_SHA256) {
            okm.fill(&mut key).ok();
        }
        SecretSlice::from(key)
    }

    /// Says what may not be used in production.
    pub fn refuse_in_production(&self, problems: &mut Problems) {
        if self.0.expose_secret() == DEVELOPMENT {
            problems.push("AUTH_SECRET", "is the one of docker-compose.yml, which everybody knows");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Result<Secret, String> {
        let args = SecretArgs { auth_secret: Some(text.to_owned()), auth_secret_file: None };
        let mut problems = Problems::default();
        let secret = args.check(&mut problems);
        problems.finish(secret).map_err(|error| error.to_string())
    }

    #[test]
    fn every_purpose_has_a_key_of_its_own() {
        let (one, two) = (secret(&"a".repeat(32)).unwrap(), secret(&"b".repeat(32)).unwrap());
        let key = |secret: &Secret, purpose| secret.derive(purpose).expose_secret().to_vec();
        assert_eq!(key(&one, "x"), key(&one, "x"));
        assert_ne!(key(&one, "x"), key(&one, "y"));
        assert_ne!(key(&one, "x"), key(&two, "x"));
        assert_ne!(key(&one, "x"), vec![0; KEY_BYTES]);
        assert_eq!(key(&one, "x").len(), KEY_BYTES);
    }

    #[test]
    fn the_secret_that_everybody_knows_is_refused_in_production() {
        let refused = |text: &str| {
            let mut problems = Problems::default();
            secret(text).unwrap().refuse_in_production(&mut problems);
            problems.finish(Some(())).map_err(|error| error.to_string())
        };
        assert!(refused(&"k".repeat(32)).is_ok());
        let text = refused(DEVELOPMENT).unwrap_err();
        assert!(text.contains("AUTH_SECRET") && !text.contains(DEVELOPMENT), "{text}");
        let compose = include_str!("../../../docker-compose.yml");
        assert!(compose.contains(&format!("AUTH_SECRET: ${{AUTH_SECRET:-{DEVELOPMENT}}}\n")));
    }

    #[test]
    fn a_short_secret_is_refused_and_none_is_printed() {
        assert!(secret("short").unwrap_err().contains("AUTH_SECRET: must have at least 32 bytes"));
        assert!(!format!("{:?}", secret(&"hunter2".repeat(6))).contains("hunter2"));
    }
}
