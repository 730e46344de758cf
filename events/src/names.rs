//! Names that several services of this system share, unless a setting says otherwise.

/// The database that the outbox of these events shares with its service.
pub const OUTBOX_DATABASE: &str = "auth";
/// Who issues access tokens (`iss`).
pub const TOKEN_ISSUER: &str = "onboard-auth";
