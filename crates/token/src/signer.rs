//! Makes access tokens.

use std::time::Duration;

use onboard_runtime::clock;

use crate::claims::OwnClaims;
use crate::config::TokenConfig;
use crate::identity::Subject;
use crate::jws;
use crate::signing_key::SigningKey;

/// Makes access tokens; the key is named each time, since keys change.
#[derive(Debug, Clone)]
pub struct Signer {
    config: TokenConfig,
    lifetime: Duration,
}

/// A new token.
#[derive(Clone)]
pub struct Issued {
    /// The token.
    pub token: String,
    /// How long it is good, in seconds.
    pub expires_in_s: u64,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issued(..)")
    }
}

impl Signer {
    /// Tokens that are good for `lifetime`.
    #[must_use]
    pub const fn new(config: TokenConfig, lifetime: Duration) -> Self {
        Self { config, lifetime }
    }

    /// A token that begins now.
    #[must_use]
    pub fn sign(&self, key: &SigningKey, subject: &Subject, now_ms: i64) -> Issued {
        let (iat, expires_in_s) = (now_ms.div_euclid(1000), self.lifetime.as_secs());
        let claims = OwnClaims {
            iss: &self.config.issuer,
            aud: &self.config.audience,
            sub: subject.user,
            client_id: OwnClaims::CLIENT,
            jti: clock::random_id(),
            iat,
            exp: iat.saturating_add_unsigned(expires_in_s),
            sid: subject.session,
            roles: &subject.roles,
        };
        // Strings and numbers only: serialising them cannot fail.
        let payload = serde_json::to_vec(&claims).unwrap_or_default();
        Issued { token: jws::sign(key, &payload), expires_in_s }
    }
}
