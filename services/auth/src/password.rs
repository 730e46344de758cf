//! Passwords: which are accepted. Length counts, composition does not (ASVS
//! 5.0, section 6.2; NIST SP 800-63B-4, section 3.1.1.2).
//!
//! A password is prepared as `OpaqueString` says (RFC 8265, section 4.2): in NFC, with
//! every space of Unicode as U+0020. So the same password is the same on a keyboard
//! that composes letters and on one that does not. Nothing else is changed: it is not
//! trimmed, not folded, not cut. The profile's class of characters is not enforced: it
//! would refuse the emoji of the next Unicode version, and passwords in use.
//!
//! Passwords that are guessed first are refused: the most common passwords (`common`), the
//! account's own address and its parts, and the name of the service.

mod common;

use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;
use secrecy::{ExposeSecret, SecretString};
use unicode_normalization::UnicodeNormalization as _;

/// The fewest characters (Unicode scalar values).
pub const CHARS_MIN: usize = 8;
/// The most bytes; a bound on work, far above what people type.
pub const BYTES_MAX: usize = 1024;
/// What the people who register call this.
const SERVICE: &str = "onboard";

/// An acceptable password. It is never printed and is wiped from memory when
/// dropped.
#[derive(Clone)]
pub struct Password {
    prepared: SecretString,
    /// As it was typed, where that is another text.
    typed: Option<SecretString>,
}

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
        if text.len() > BYTES_MAX {
            // Wiped all the same.
            drop(SecretString::from(text));
            return Err(PasswordError::TooLong);
        }
        let password = Self::attempt(text);
        let text = password.expose();
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
        let typed = SecretString::from(text);
        let prepared = SecretString::from(prepare(typed.expose_secret()));
        let same = prepared.expose_secret() == typed.expose_secret();
        Self { prepared, typed: (!same).then_some(typed) }
    }

    pub(crate) fn expose(&self) -> &str {
        self.prepared.expose_secret()
    }

    /// The password as it was typed, where that is another text: what released builds
    /// have hashed.
    pub(crate) fn as_typed(&self) -> Option<Self> {
        self.typed.clone().map(|prepared| Self { prepared, typed: None })
    }

    /// The text as it was sent.
    pub(crate) fn sent(&self) -> &str {
        self.typed.as_ref().unwrap_or(&self.prepared).expose_secret()
    }
}

/// The mapping rule and the normalization rule of `OpaqueString`.
fn prepare(text: &str) -> String {
    let category = CodePointMapData::<GeneralCategory>::new();
    let is_space = |found: char| category.get(found) == GeneralCategory::SpaceSeparator;
    // With room for the whole: a buffer that grows leaves copies behind that nobody wipes.
    let mut prepared = String::with_capacity(text.len().saturating_mul(3));
    prepared.extend(text.chars().map(|found| if is_space(found) { ' ' } else { found }).nfc());
    prepared
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
    fn one_password_typed_in_two_ways_is_one() {
        for (typed, prepared) in [
            ("cafe\u{301} au lait", "caf\u{e9} au lait"),
            ("full\u{3000}width\u{a0}blanks", "full width blanks"),
            ("\u{1100}\u{1161}\u{11a8}", "\u{ac01}"),
        ] {
            let password = Password::attempt(typed.to_owned());
            assert_eq!((password.expose(), password.sent()), (prepared, typed));
            assert_eq!(password.as_typed().unwrap().expose(), typed);
            assert!(Password::attempt(prepared.to_owned()).as_typed().is_none());
        }
        for (one, other) in [("\u{ff21}", "A"), ("ß", "ss"), ("A", "a"), ("a ", "a"), ("①", "1")]
        {
            assert_ne!(prepare(one), prepare(other), "nothing else is folded");
        }
        let short = Password::parse("e\u{301}".repeat(7), None);
        assert_eq!(short.err(), Some(PasswordError::TooShort), "seven letters");
    }

    #[test]
    fn a_password_is_neither_cut_nor_trimmed_nor_printed() {
        let password = Password::parse("  hunter\u{0}2 \u{e9} ".into(), None).unwrap();
        assert_eq!(password.expose(), "  hunter\u{0}2 \u{e9} ");
        assert_eq!(format!("{password:?}"), "Password(..)");
    }
}
