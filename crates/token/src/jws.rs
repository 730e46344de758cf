//! The envelope: a compact JWS (RFC 7515, section 7.1) with Ed25519 (RFC 8037)
//! and nothing else.
//!
//! Three parts of unpadded base64url without spare bits, a header that says
//! what we say, a signature by the key that the header names. A header's `jku`,
//! `jwk`, `x5u` and `x5c` are never looked at: keys come from one place only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::jwk::PublicKey;
use crate::signing_key::SigningKey;
use crate::verifier::Fault;

/// The one algorithm (RFC 8037, section 3.1).
pub(crate) const ALGORITHM: &str = "EdDSA";
/// The type of an access token (RFC 9068, section 2.1).
const TYPE: &str = "at+jwt";
/// The longest token that is looked at, in bytes. Ours have about 500.
pub(crate) const BYTES_MAX: usize = 2048;

#[derive(Serialize)]
struct OwnHeader<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: &'a str,
}

/// A header as somebody wrote it.
#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
    /// Extensions that must be understood; we understand none (RFC 7515,
    /// section 4.1.11).
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

/// True for a member that is there, whatever it is, null included.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Value::deserialize(deserializer).map(|_| true)
}

/// Signs a payload.
pub(crate) fn sign(key: &SigningKey, payload: &[u8]) -> String {
    let header = OwnHeader { alg: ALGORITHM, typ: TYPE, kid: key.id() };
    // Strings only: serialising them cannot fail.
    let header = serde_json::to_vec(&header).unwrap_or_default();
    let mut token = URL_SAFE_NO_PAD.encode(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = key.sign(token.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    token
}

/// A token taken apart. Nothing it says is believed yet.
pub(crate) struct Envelope<'a> {
    header: Header,
    signed: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
}

impl<'a> Envelope<'a> {
    /// Takes a token apart and checks that its header is one of ours.
    pub(crate) fn open(token: &'a str) -> Result<Self, Fault> {
        if token.len() > BYTES_MAX {
            return Err(Fault::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Fault::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Fault::Malformed)?;
        if payload.contains('.') {
            return Err(Fault::Malformed);
        }
        let header: Header =
            serde_json::from_slice(&decode(header)?).map_err(|_| Fault::Malformed)?;
        header.check()?;
        Ok(Self { header, signed, payload, signature: decode(signature)? })
    }

    /// The key the header names.
    pub(crate) fn key_id(&self) -> &str {
        &self.header.kid
    }

    /// The payload, if this key signed it.
    pub(crate) fn verify(&self, key: &PublicKey) -> Result<Vec<u8>, Fault> {
        if !key.verifies(self.signed.as_bytes(), &self.signature) {
            return Err(Fault::Signature);
        }
        decode(self.payload)
    }
}

impl Header {
    fn check(&self) -> Result<(), Fault> {
        if self.alg != ALGORITHM {
            return Err(Fault::Algorithm);
        }
        // A media type: case does not count, and "application/" may stand
        // before it (RFC 7515, section 4.1.9).
        let typ = self.typ.to_ascii_lowercase();
        if typ.strip_prefix("application/").unwrap_or(&typ) != TYPE {
            return Err(Fault::Type);
        }
        if self.crit { Err(Fault::Critical) } else { Ok(()) }
    }
}

/// Refuses padding, spare bits and any other alphabet, dots included.
fn decode(part: &str) -> Result<Vec<u8>, Fault> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Fault::Malformed)
}
