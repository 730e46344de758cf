//! Checks access tokens (RFC 8725, RFC 9068 section 4).

use onboard_runtime::clock;

use crate::claims::Claims;
use crate::config::TokenConfig;
use crate::identity::Identity;
use crate::jws::Envelope;
use crate::keys::{NoKeys, PublicKeys};

/// What is wrong with a token. For logs and metrics; clients are not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Longer than any of ours.
    #[error("the token is too long")]
    TooLong,
    /// Not three parts of base64url, or the header is no header.
    #[error("the token is malformed")]
    Malformed,
    /// Not the one algorithm.
    #[error("the token names another algorithm")]
    Algorithm,
    /// No access token.
    #[error("the token is of another type")]
    Type,
    /// It demands an extension.
    #[error("the token demands an extension")]
    Critical,
    /// Nobody has published the key it names.
    #[error("the token names an unknown key")]
    UnknownKey,
    /// The key did not sign this.
    #[error("the signature is wrong")]
    Signature,
    /// A claim is missing or of another type.
    #[error("a claim is missing or malformed")]
    Claims,
    /// By another issuer.
    #[error("the issuer is another")]
    Issuer,
    /// For somebody else.
    #[error("the audience is another")]
    Audience,
    /// Over.
    #[error("the token has expired")]
    Expired,
    /// Not begun.
    #[error("the token is not valid yet")]
    NotYet,
    /// Good for longer than tokens may be.
    #[error("the token lives too long")]
    Lifetime,
}

impl Fault {
    /// A word for metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::TooLong => "too-long",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::Type => "type",
            Self::Critical => "critical",
            Self::UnknownKey => "unknown-key",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYet => "not-yet",
            Self::Lifetime => "lifetime",
        }
    }
}

/// A token was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// It is not good, and will not be.
    #[error("the token is refused")]
    Refused(#[source] Fault),
    /// It cannot be checked now. Retryable.
    #[error("the token cannot be checked")]
    NoKeys(#[source] NoKeys),
}

impl From<Fault> for VerifyError {
    fn from(fault: Fault) -> Self {
        Self::Refused(fault)
    }
}

/// Checks access tokens.
#[derive(Debug, Clone)]
pub struct Verifier {
    config: TokenConfig,
    keys: PublicKeys,
}

impl Verifier {
    /// Accepts tokens of this issuer for this audience, signed by these keys.
    #[must_use]
    pub const fn new(config: TokenConfig, keys: PublicKeys) -> Self {
        Self { config, keys }
    }

    /// Who the token speaks of.
    ///
    /// # Errors
    /// See [`VerifyError`].
    pub async fn verify(&self, token: &str) -> Result<Identity, VerifyError> {
        self.verify_at(token, clock::now_ms()).await
    }

    async fn verify_at(&self, token: &str, now_ms: i64) -> Result<Identity, VerifyError> {
        let envelope = Envelope::open(token)?;
        let key = self.keys.find(envelope.key_id()).await.map_err(VerifyError::NoKeys)?;
        let payload = envelope.verify(&key.ok_or(Fault::UnknownKey)?)?;
        Ok(Claims::read(&payload)?.check(&self.config, now_ms)?)
    }
}

#[cfg(test)]
mod tests;
