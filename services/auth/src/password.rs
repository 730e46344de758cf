//! Passwords: which are accepted. Length counts, composition does not (ASVS
//! 5.0, section 6.2; NIST SP 800-63B-4, section 3.1.1.2).
//!
//! A password is taken verbatim: not trimmed, not normalised, not cut. What is
//! guessed first is refused: the most common passwords (`common`), the account's
//! own address and its parts, and the name of the service.

mod common;

use secrecy::{ExposeSecret, SecretString};

/// The fewest characters (Unicode scalar values).
pub const CHARS_MIN: usize = 8;
/// The most bytes; a bound on work, far above what people type.
pub const BYTES_MAX: usize = 1024;
/// What the people who register call this.
const SERVICE: &str = "onboard";

/// An acceptable password. It is never printed and is wiped from memory when
/// dropped.
#[derive(Clone)]
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
    /// The address, or one of its parts.
    #[error("must not be the e-mail address or a part of it")]
    IsTheAddress,
    /// The name of the service, alone or with digits and marks.
    #[error("must not be the name of this service")]
    IsTheService,
    /// On the list of the most common passwords.
    #[error("is one of the most common passwords; choose one that nobody else would")]
    Common,
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
        guessed_first(text, email)?;
        Ok(password)
    }

    /// What somebody says is their password: of any length, since refusing one
    /// early would tell it from a wrong one.
    #[must_use]
    pub fn attempt(text: String) -> Self {
        Self(SecretString::from(text))
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

/// What a guesser tries before anything else, in whatever case.
fn guessed_first(password: &str, email: Option<&str>) -> Result<(), PasswordError> {
    let lower = SecretString::from(password.to_lowercase());
    let lower = lower.expose_secret();
    if email.is_some_and(|email| is_the_address(lower, &email.to_lowercase())) {
        return Err(PasswordError::IsTheAddress);
    }
    if is_the_service(lower) {
        return Err(PasswordError::IsTheService);
    }
    if common::is_common(lower) {
        return Err(PasswordError::Common);
    }
    Ok(())
}

/// The whole, what is before or after the `@`, or a word of either.
fn is_the_address(password: &str, email: &str) -> bool {
    let (local, domain) = email.rsplit_once('@').unwrap_or((email, ""));
    [email, local, domain].contains(&password)
        || email.split(|c: char| !c.is_alphanumeric()).any(|word| word == password)
}

fn is_the_service(password: &str) -> bool {
    password.contains(SERVICE)
        && !password.split(SERVICE).flat_map(str::chars).any(char::is_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(), PasswordError> {
        Password::parse(text.to_owned(), Some("Ada.Lovelace@Analytical.example")).map(drop)
    }

    #[test]
    fn only_length_and_what_is_guessed_first_count() {
        use PasswordError::{Common, IsTheAddress, IsTheService, TooLong, TooShort};
        let (longest, longer) = ("x".repeat(BYTES_MAX), "x".repeat(BYTES_MAX + 1));
        let table = [
            ("", Err(TooShort)),
            ("sevench", Err(TooShort)),
            ("eightchr", Ok(())),
            ("üüüüüüü", Err(TooShort)),
            ("üüüüüüüü", Ok(())),
            ("        ", Ok(())),
            ("no digit no mark no upper case", Ok(())),
            (&longest, Ok(())),
            (&longer, Err(TooLong)),
            ("ADA.lovelace@analytical.example", Err(IsTheAddress)),
            ("ada.LOVELACE", Err(IsTheAddress)),
            ("lovelace", Err(IsTheAddress)),
            ("Analytical.Example", Err(IsTheAddress)),
            ("analytical", Err(IsTheAddress)),
            ("ada.lovelace1", Ok(())),
            ("analytical engine", Ok(())),
            ("OnBoard1", Err(IsTheService)),
            ("!onboardOnboard!", Err(IsTheService)),
            ("onboarding", Ok(())),
            ("overboard1", Ok(())),
            ("12345678", Err(Common)),
            ("password", Err(Common)),
            ("PassWord1", Err(Common)),
            ("trustno1", Err(Common)),
            ("correct horse", Ok(())),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_password_without_an_address_is_still_judged() {
        assert!(Password::parse("lovelace".into(), None).is_ok());
        assert_eq!(Password::parse("password".into(), None).err(), Some(PasswordError::Common));
    }

    #[test]
    fn an_attempt_may_be_anything() {
        for text in ["", "short", "password", &"x".repeat(BYTES_MAX + 1)] {
            assert_eq!(Password::attempt(text.to_owned()).expose(), text);
        }
    }

    #[test]
    fn a_password_is_taken_verbatim_and_never_printed() {
        let password = Password::parse("  hunter\u{0}2 e\u{301} ".into(), None).unwrap();
        assert_eq!(password.expose(), "  hunter\u{0}2 e\u{301} ");
        assert_eq!(format!("{password:?}"), "Password(..)");
    }
}
