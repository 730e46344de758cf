//! Passwords: which are accepted. Length counts, composition does not (ASVS
//! 5.0, section 6.2; NIST SP 800-63B-4, section 3.1.1.2).
//!
//! A password is taken verbatim: not trimmed, not normalised, not cut.

use secrecy::{ExposeSecret, SecretString};

/// The fewest characters (Unicode scalar values).
pub const CHARS_MIN: usize = 8;
/// The most bytes; a bound on work, far above what people type.
pub const BYTES_MAX: usize = 1024;

/// An acceptable password. It is never printed and is wiped from memory when
/// dropped.
pub struct Password(SecretString);

/// Why a password is not acceptable. The words are for clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Fewer than [`CHARS_MIN`] characters.
    #[error("must have at least {CHARS_MIN} characters")]
    TooShort,
    /// More than [`BYTES_MAX`] bytes.
    #[error("must have at most {BYTES_MAX} bytes")]
    TooLong,
    /// The address, or the part before its `@`.
    #[error("must not be the e-mail address or its first part")]
    IsTheAddress,
}

impl Password {
    /// Parses a password for the account of `email`, as given, whether or not
    /// that is an acceptable address.
    ///
    /// # Errors
    /// See [`PasswordError`].
    pub fn parse(text: String, email: Option<&str>) -> Result<Self, PasswordError> {
        let password = Self(SecretString::from(text));
        let text = password.expose();
        if text.len() > BYTES_MAX {
            return Err(PasswordError::TooLong);
        }
        if text.chars().count() < CHARS_MIN {
            return Err(PasswordError::TooShort);
        }
        if email.is_some_and(|email| is_the_address(text, email)) {
            return Err(PasswordError::IsTheAddress);
        }
        Ok(password)
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

fn is_the_address(password: &str, email: &str) -> bool {
    let local = email.rsplit_once('@').map_or(email, |(local, _)| local);
    let password = SecretString::from(password.to_lowercase());
    [email, local].iter().any(|text| text.to_lowercase() == password.expose_secret())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(), PasswordError> {
        Password::parse(text.to_owned(), Some("Ada.Lovelace@example.com")).map(drop)
    }

    #[test]
    fn only_length_and_the_address_count() {
        use PasswordError::{IsTheAddress, TooLong, TooShort};
        let (longest, longer) = ("x".repeat(BYTES_MAX), "x".repeat(BYTES_MAX + 1));
        let table = [
            ("", Err(TooShort)),
            ("1234567", Err(TooShort)),
            ("12345678", Ok(())),
            ("üüüüüüü", Err(TooShort)),
            ("üüüüüüüü", Ok(())),
            ("        ", Ok(())),
            (&longest, Ok(())),
            (&longer, Err(TooLong)),
            ("ADA.lovelace@example.com", Err(IsTheAddress)),
            ("ada.LOVELACE", Err(IsTheAddress)),
            ("ada.lovelace1", Ok(())),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_password_is_taken_verbatim_and_never_printed() {
        let password = Password::parse("  hunter\u{0}2 e\u{301} ".into(), None).unwrap();
        assert_eq!(password.expose(), "  hunter\u{0}2 e\u{301} ");
        assert_eq!(format!("{password:?}"), "Password(..)");
    }
}
