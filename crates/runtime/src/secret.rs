//! The secret of the accounts, and the keys that are derived from it.
//!
//! `AUTH_SECRET` is asked for by whoever signs, wraps or fingerprints. Each
//! purpose has a key of its own (HKDF-SHA-256, RFC 5869), so that nothing
//! learned about one helps with another.
//!
//! The secret can be changed: those of `AUTH_SECRET_PREVIOUS` open and recognise what was
//! made under them, and nothing new is made under them.

use std::path::{Path, PathBuf};

use ring::hkdf;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use crate::Problems;
use crate::memory::wipe_stack;

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
    /// Secrets of before or after a change, separated by commas: what was sealed under one
    /// of them opens, and nothing is sealed under it. A secret that has a comma, or spaces
    /// around it, goes into a file. Default: none.
    #[arg(long, env = "AUTH_SECRET_PREVIOUS", hide_env_values = true)]
    pub auth_secret_previous: Option<String>,
    /// Files that hold one such secret each, separated by commas, instead of
    /// `AUTH_SECRET_PREVIOUS`.
    #[arg(long, env = "AUTH_SECRET_PREVIOUS_FILE")]
    pub auth_secret_previous_file: Option<String>,
}

impl std::fmt::Debug for SecretArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretArgs").finish_non_exhaustive()
    }
}

/// The setting of the secret, and of those beside it.
const SETTING: &str = "AUTH_SECRET";
const PREVIOUS: &str = "AUTH_SECRET_PREVIOUS";

impl SecretArgs {
    /// Whether the secret is given.
    #[must_use]
    pub const fn names_one(&self) -> bool {
        self.auth_secret.is_some() || self.auth_secret_file.is_some()
    }

    /// Checks the settings.
    pub fn check(self, problems: &mut Problems) -> Option<Secret> {
        let previous = self.previous(problems);
        let secret = problems.secret(
            SETTING,
            self.auth_secret.map(SecretString::from),
            self.auth_secret_file.as_deref(),
        );
        let secret = secret.and_then(|secret| long_enough(SETTING, secret, problems))?;
        let mut all = vec![secret];
        for other in previous? {
            if all.iter().all(|one| one.expose_secret() != other.expose_secret()) {
                all.push(other);
            }
        }
        Some(Secret(all))
    }

    /// The secrets beside the first one; `None` when one of them is not usable.
    fn previous(&self, problems: &mut Problems) -> Option<Vec<SecretString>> {
        let list = |text: &Option<String>| -> Vec<String> {
            let text = text.as_deref().unwrap_or_default();
            if text.trim().is_empty() {
                return Vec::new();
            }
            text.split(',').map(|one| one.trim().to_owned()).collect()
        };
        let (values, files) =
            (list(&self.auth_secret_previous), list(&self.auth_secret_previous_file));
        if !values.is_empty() && !files.is_empty() {
            problems.push(PREVIOUS, format!("is set beside {PREVIOUS}_FILE; keep one"));
            return None;
        }
        let values = values.into_iter().map(|value| (Some(SecretString::from(value)), None));
        let files = files.iter().map(|file| (None, Some(Path::new(file))));
        let secrets: Vec<Option<SecretString>> = values
            .chain(files)
            .map(|(value, file)| {
                let secret = problems.secret(PREVIOUS, value, file)?;
                long_enough(PREVIOUS, secret, problems)
            })
            .collect();
        secrets.into_iter().collect()
    }
}

fn long_enough(
    setting: &str,
    secret: SecretString,
    problems: &mut Problems,
) -> Option<SecretString> {
    if secret.expose_secret().len() < BYTES_MIN {
        problems.push(setting, format!("must have at least {BYTES_MIN} bytes"));
        return None;
    }
    Some(secret)
}

/// The secret, and those beside it.
#[derive(Clone)]
pub struct Secret(Vec<SecretString>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// The keys for a purpose, always the same for the same secrets: first that of
    /// `AUTH_SECRET`, under which new things are made.
    #[must_use]
    pub fn derive(&self, purpose: &'static str) -> Keys {
        let mut keys = self.0.iter().map(|secret| derived(secret, purpose));
        let current = keys.next().unwrap_or_else(|| SecretSlice::from(Vec::new()));
        Keys { current, previous: keys.collect() }
    }

    /// Says what may not be used in production.
    pub fn refuse_in_production(&self, problems: &mut Problems) {
        for (index, secret) in self.0.iter().enumerate() {
            if secret.expose_secret() == DEVELOPMENT {
                let setting = if index == 0 { SETTING } else { PREVIOUS };
                problems.push(setting, "is the one of docker-compose.yml, which everybody knows");
            }
        }
    }
}

/// The keys for one purpose.
#[derive(Debug, Clone)]
pub struct Keys {
    /// That of `AUTH_SECRET`.
    pub current: SecretSlice<u8>,
    /// Those of `AUTH_SECRET_PREVIOUS`.
    pub previous: Vec<SecretSlice<u8>>,
}

impl Keys {
    /// All of them, the current one first.
    pub fn all(&self) -> impl Iterator<Item = &SecretSlice<u8>> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

fn derived(secret: &SecretString, purpose: &'static str) -> SecretSlice<u8> {
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"onboard");
    let extracted = salt.extract(secret.expose_secret().as_bytes());
    let info = [purpose.as_bytes()];
    let mut key = vec![0; KEY_BYTES];
    // Fails only for lengths over 255 hashes, or another than the type's.
    if let Ok(okm) = extracted.expand(&info, hkdf::HKDF_SHA256) {
        okm.fill(&mut key).ok();
    }
    // The hash kept the secret in a block of its own.
    wipe_stack();
    SecretSlice::from(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Result<Secret, String> {
        check(SecretArgs { auth_secret: Some(text.to_owned()), ..SecretArgs::default() })
    }

    fn check(args: SecretArgs) -> Result<Secret, String> {
        let mut problems = Problems::default();
        let secret = args.check(&mut problems);
        problems.finish(secret).map_err(|error| error.to_string())
    }

    #[test]
    fn every_purpose_has_a_key_of_its_own() {
        let (one, two) = (secret(&"a".repeat(32)).unwrap(), secret(&"b".repeat(32)).unwrap());
        let key =
            |secret: &Secret, purpose| secret.derive(purpose).current.expose_secret().to_vec();
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

    #[test]
    fn the_first_secret_makes_and_all_recognise() {
        let [new, old, older] = ["n", "o", "r"].map(|one| one.repeat(32));
        let with = |previous: Option<String>, file: Option<String>| {
            check(SecretArgs {
                auth_secret: Some(new.clone()),
                auth_secret_previous: previous,
                auth_secret_previous_file: file,
                ..SecretArgs::default()
            })
        };
        let keys = |secret: &Secret| -> Vec<Vec<u8>> {
            secret.derive("x").all().map(|key| key.expose_secret().to_vec()).collect()
        };
        let of = |one: &str| keys(&secret(one).unwrap()).remove(0);
        let all = [of(&new), of(&old), of(&older)];
        assert_eq!(keys(&with(Some(format!("{old}, {older}")), None).unwrap()), all);
        assert_eq!(keys(&with(Some(format!("{new},{old},{old}")), None).unwrap()), all[..2]);
        assert_eq!(keys(&with(Some(String::new()), None).unwrap()), all[..1]);
        // A file may hold a secret that a list cannot.
        let odd = format!("{old},{older}");
        let files = [&odd, &older].map(|secret| {
            let name = format!("previous-{}", crate::clock::random_id());
            let file = std::env::temp_dir().join(name);
            std::fs::write(&file, format!("{secret}\n")).unwrap();
            file
        });
        let list = files.clone().map(|file| file.display().to_string()).join(",");
        assert_eq!(keys(&with(None, Some(list)).unwrap()), [of(&new), of(&odd), of(&older)]);
        let missing = with(None, Some("/no/such/file".into())).unwrap_err();
        assert!(missing.contains("AUTH_SECRET_PREVIOUS_FILE: /no/such/file: No such file"));
        let file = Some(files[0].display().to_string());
        assert!(with(Some(old.clone()), file).unwrap_err().contains("keep one"));
        for short in ["short".to_owned(), format!("{old},"), format!("{old},short")] {
            let said = with(Some(short), None).unwrap_err();
            assert!(said.contains("AUTH_SECRET_PREVIOUS: "), "{said}");
            assert!(!said.contains(&old), "{said}");
        }
        for file in files {
            std::fs::remove_file(file).unwrap();
        }
        let known = with(Some(format!("{old},{DEVELOPMENT}")), None).unwrap();
        let mut problems = Problems::default();
        known.refuse_in_production(&mut problems);
        let said = problems.finish(Some(())).unwrap_err().to_string();
        assert!(said.contains("AUTH_SECRET_PREVIOUS: is the one of docker-compose.yml"), "{said}");
    }
}
