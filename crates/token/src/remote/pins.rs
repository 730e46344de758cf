//! Which of the published keys may be used: those that `JWKS_THUMBPRINTS` names, or all.
//!
//! The thumbprint is computed from the key. The `kid` beside it is a word of whoever
//! publishes, and decides nothing here.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use onboard_runtime::Problems;

use crate::jwk::JwkSet;
use crate::keys::KeyRing;

const SETTING: &str = "JWKS_THUMBPRINTS";
/// The bytes of a SHA-256.
const BYTES: usize = 32;

/// The thumbprints of the keys that may be used.
#[derive(Debug, Clone, Default)]
pub(super) struct Pins {
    /// `None`: of every key.
    names: Option<BTreeSet<String>>,
    /// The keys that the log has named last.
    told: Arc<Mutex<BTreeSet<String>>>,
}

impl Pins {
    /// Reads the setting.
    pub(super) fn read(text: Option<&str>, problems: &mut Problems) -> Option<Self> {
        let Some(text) = text else { return Some(Self::default()) };
        let names: BTreeSet<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        let odd = names.iter().find(|name| !is_thumbprint(name));
        if let Some(odd) = odd {
            let why = format!(
                "{odd:?} is no SHA-256 in base64url (43 characters without padding), as `onboard \
                 keys list` shows them; separate several by commas"
            );
            problems.push(SETTING, why);
            return None;
        }
        Some(Self { names: Some(names), told: Arc::default() })
    }

    /// The keys that may be used. The others are counted, and named in the log when they
    /// are not those of the time before.
    pub(super) fn used(&self, set: &JwkSet) -> KeyRing {
        let Some(names) = &self.names else { return KeyRing::from(set) };
        let (used, others): (Vec<_>, Vec<_>) = set
            .keys
            .iter()
            .filter_map(|jwk| Some((jwk, jwk.key()?.id())))
            .partition(|(_, thumbprint)| names.contains(thumbprint));
        let others: BTreeSet<String> =
            others.into_iter().map(|(_, thumbprint)| thumbprint).collect();
        metrics::counter!("keys_not_pinned_total").increment(others.len() as u64);
        self.tell(others);
        let keys = used.into_iter().map(|(jwk, _)| jwk.clone()).collect();
        KeyRing::from(&JwkSet { keys })
    }

    fn tell(&self, others: BTreeSet<String>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if *told == others {
            return;
        }
        for thumbprint in others.difference(&told) {
            tracing::warn!(
                thumbprint,
                "a published key is not used: JWKS_THUMBPRINTS does not name it"
            );
        }
        *told = others;
    }
}

fn is_thumbprint(text: &str) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == BYTES)
}
