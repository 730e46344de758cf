//! Access tokens: what they say, how they are signed and how they are checked.
//!
//! A token is a JWT (RFC 7519) in the profile of RFC 9068, signed with Ed25519
//! (RFC 8037). The auth service signs; whoever serves users verifies:
//! `bearer` takes the token from the request, `verifier` checks it, `keys` has
//! the public keys, which come from auth's JWKS (`remote`) or, in auth itself,
//! from its database.
//!
//! Invariants: the algorithm belongs to the key, never to the token; nothing a
//! token says is believed before its signature is checked; no token is ever
//! printed. The crate keeps keys in memory only: when the process dies they are
//! fetched again.

pub mod bearer;
pub mod config;
pub mod identity;
pub mod jwk;
pub mod keys;
pub mod refusal;
pub mod remote;
pub mod signer;
pub mod signing_key;
pub mod verifier;

mod claims;
mod jws;

pub use bearer::{Authority, Bearer, METRICS};
pub use config::{LIFETIME_MAX, TokenArgs, TokenConfig, lifetime};
pub use identity::{Identity, Role, Subject, UnknownRole};
pub use jwk::{Jwk, JwkSet, PublicKey};
pub use keys::{KeyRing, NoKeys, PublicKeys};
pub use refusal::Refusal;
pub use remote::{JwksArgs, JwksConfig};
pub use signer::{Issued, Signer};
pub use signing_key::{KeyError, SigningKey};
pub use verifier::{Fault, Verifier, VerifyError};
