//! Public keys as they are published (RFC 7517, RFC 8037): public members
//! only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::jws::ALGORITHM;

const KEY_TYPE: &str = "OKP";
const CURVE: &str = "Ed25519";
const USE: &str = "sig";

/// An Ed25519 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// From its 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its thumbprint (RFC 7638), which is the key's id: an id can belong to
    /// no other key.
    #[must_use]
    pub fn id(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.0);
        let canonical = format!(r#"{{"crv":"{CURVE}","kty":"{KEY_TYPE}","x":"{x}"}}"#);
        URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()))
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

/// A published key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Jwk {
    /// `OKP`.
    pub kty: String,
    /// `Ed25519`.
    pub crv: String,
    /// The public key, base64url.
    pub x: String,
    /// The key's id.
    pub kid: String,
    /// `EdDSA`.
    #[serde(default)]
    pub alg: Option<String>,
    /// `sig`.
    #[serde(default, rename = "use")]
    #[schema(rename = "use")]
    pub usage: Option<String>,
}

impl Jwk {
    /// How a key is published.
    #[must_use]
    pub fn publish(key: &PublicKey) -> Self {
        Self {
            kty: KEY_TYPE.to_owned(),
            crv: CURVE.to_owned(),
            x: URL_SAFE_NO_PAD.encode(key.0),
            kid: key.id(),
            alg: Some(ALGORITHM.to_owned()),
            usage: Some(USE.to_owned()),
        }
    }

    /// The key, if it is one that signs as ours do.
    #[must_use]
    pub fn key(&self) -> Option<PublicKey> {
        let ours = self.kty == KEY_TYPE
            && self.crv == CURVE
            && self.alg.as_deref().is_none_or(|alg| alg == ALGORITHM)
            && self.usage.as_deref().is_none_or(|usage| usage == USE);
        let x = URL_SAFE_NO_PAD.decode(&self.x).ok()?;
        PublicKey::from_bytes(&x).filter(|_| ours)
    }
}

/// What auth publishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct JwkSet {
    /// The keys whose tokens are good.
    pub keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct AnySet {
    keys: Vec<Value>,
}

impl JwkSet {
    /// Reads a set. Keys that we cannot use are left out (RFC 7517, section 5).
    ///
    /// # Errors
    /// It is no set of keys.
    pub fn read(json: &[u8]) -> Result<Self, serde_json::Error> {
        let set: AnySet = serde_json::from_slice(json)?;
        let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        Ok(Self { keys: keys.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037, appendix A.2 and A.3.
    #[test]
    fn the_id_is_the_thumbprint_of_the_rfc() {
        let jwk = Jwk {
            kty: "OKP".into(),
            crv: "Ed25519".into(),
            x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".into(),
            kid: "any".into(),
            alg: None,
            usage: None,
        };
        let key = jwk.key().unwrap();
        assert_eq!(key.id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(Jwk::publish(&key).key(), Some(key));
    }

    #[test]
    fn keys_of_other_kinds_are_left_out() {
        let good = Jwk::publish(&PublicKey([7; 32]));
        let good_json = serde_json::to_value(&good).unwrap();
        let set = serde_json::json!({ "keys": [
            { "kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "rsa" },
            good_json, 7, "x",
        ], "more": 1 });
        let set = JwkSet::read(set.to_string().as_bytes()).unwrap();
        assert_eq!(set.keys, vec![good.clone()]);
        for (member, value) in
            [("alg", "HS256"), ("use", "enc"), ("crv", "X25519"), ("kty", "oct"), ("x", "AAAA")]
        {
            let mut other = good_json.clone();
            other[member] = value.into();
            let other: Jwk = serde_json::from_value(other).unwrap();
            assert_eq!(other.key(), None, "{member}");
        }
        assert!(JwkSet::read(b"[]").is_err());
    }

    #[test]
    fn only_public_members_are_published() {
        let json = serde_json::to_value(Jwk::publish(&PublicKey([7; 32]))).unwrap();
        let members: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x"]);
    }
}
