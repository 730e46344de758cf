//! The claims of a token (RFC 9068, section 2.2), and the checks of them.

use onboard_contract::{SessionId, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::config::{LIFETIME_MAX, TokenConfig};
use crate::identity::{Identity, Role};
use crate::verifier::Fault;

/// How far two clocks may differ, in seconds.
pub(crate) const LEEWAY_S: i64 = 30;
/// The one client of the API: our own. RFC 9068 wants the claim.
const CLIENT: &str = "first-party";

#[derive(Serialize)]
pub(crate) struct OwnClaims<'a> {
    pub(crate) iss: &'a str,
    pub(crate) aud: &'a str,
    pub(crate) sub: UserId,
    pub(crate) client_id: &'static str,
    pub(crate) jti: Uuid,
    pub(crate) iat: i64,
    pub(crate) exp: i64,
    pub(crate) sid: SessionId,
    pub(crate) roles: &'a [Role],
}

impl OwnClaims<'_> {
    pub(crate) const CLIENT: &'static str = CLIENT;
}

/// Claims as somebody wrote them. All but the optional ones must be there.
#[derive(Deserialize)]
pub(crate) struct Claims {
    iss: String,
    aud: Audience,
    sub: UserId,
    /// Only that it is there; nobody keeps a list of them.
    #[serde(rename = "jti")]
    _jti: Uuid,
    iat: i64,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    sid: Option<SessionId>,
    #[serde(default)]
    roles: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Claims {
    pub(crate) fn read(payload: &[u8]) -> Result<Self, Fault> {
        serde_json::from_slice(payload).map_err(|_| Fault::Claims)
    }

    /// Who it speaks of, if all of it holds now.
    pub(crate) fn check(self, config: &TokenConfig, now_ms: i64) -> Result<Identity, Fault> {
        if self.iss != config.issuer {
            return Err(Fault::Issuer);
        }
        if !self.aud.names(&config.audience) {
            return Err(Fault::Audience);
        }
        self.check_times(now_ms.div_euclid(1000))?;
        // A role that this version does not know gives no rights.
        let roles = self.roles.iter().filter_map(|role| role.parse().ok()).collect();
        Ok(Identity {
            user: self.sub,
            roles,
            session: self.sid,
            expires_at_ms: self.exp.saturating_mul(1000),
        })
    }

    fn check_times(&self, now: i64) -> Result<(), Fault> {
        let longest = i64::try_from(LIFETIME_MAX.as_secs()).unwrap_or(i64::MAX);
        if now >= self.exp.saturating_add(LEEWAY_S) {
            return Err(Fault::Expired);
        }
        let begins = self.nbf.unwrap_or(self.iat).max(self.iat);
        if begins > now.saturating_add(LEEWAY_S) {
            return Err(Fault::NotYet);
        }
        if self.exp.saturating_sub(self.iat) > longest {
            return Err(Fault::Lifetime);
        }
        Ok(())
    }
}

impl Audience {
    fn names(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Many(many) => many.iter().any(|one| one == audience),
        }
    }
}
