//! E-mail addresses: what is accepted, and which are the same.
//!
//! An address is kept as given; mail goes to that form. Its canonical form
//! decides uniqueness:
//! - the domain as IDNA (UTS 46) makes it: lower case, punycode;
//! - the local part in Unicode NFC and lower case. RFC 5321 lets a server tell
//!   `Ada` from `ada`; in practice none does, and two accounts for one mailbox
//!   would be the greater harm.
//!
//! Nothing else is folded: `a.da` and `ada+x` are other addresses than `ada`,
//! since only the mailbox's own server knows. Nothing is trimmed.
//!
//! Refused although RFC 5321 knows them: quoted local parts (`"ada"@…`, a
//! second spelling of the same mailbox), address literals (`ada@[192.0.2.1]`),
//! and domains without a dot or with a number as the last label.

use email_address::{EmailAddress, Options};
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use unicode_normalization::UnicodeNormalization;

/// The longest address in bytes (RFC 5321, section 4.5.3.1.3: a path of 256
/// octets with its angle brackets).
pub const BYTES_MAX: usize = 254;

const OPTIONS: Options =
    Options { minimum_sub_domains: 2, allow_domain_literal: false, allow_display_text: false };

/// An acceptable address.
#[derive(Clone, PartialEq, Eq)]
pub struct Email {
    given: String,
    canonical: String,
}

/// Why a text is not an acceptable address. The words are for clients and do
/// not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// Longer than [`BYTES_MAX`].
    #[error("must have at most {BYTES_MAX} bytes")]
    TooLong,
    /// Not `local@domain`, or a form that is refused.
    #[error("must be an e-mail address such as name@example.com")]
    NotAnAddress,
    /// The part after the `@` is not a domain of the Internet.
    #[error("must have a valid domain with a dot after the @")]
    Domain,
}

impl Email {
    /// Parses an address as a user gives it.
    ///
    /// # Errors
    /// See [`EmailError`].
    pub fn parse(given: String) -> Result<Self, EmailError> {
        if given.len() > BYTES_MAX {
            return Err(EmailError::TooLong);
        }
        let (local, domain) = given.rsplit_once('@').ok_or(EmailError::NotAnAddress)?;
        let domain = canonical_domain(domain)?;
        let canonical = format!("{}@{domain}", canonical_local(local));
        // The local part is judged in its composed form; the domain is ASCII.
        check_syntax(&format!("{}@{domain}", local.nfc()))?;
        if canonical.len() > BYTES_MAX {
            return Err(EmailError::TooLong);
        }
        Ok(Self { given, canonical })
    }

    /// The address as given.
    #[must_use]
    pub fn given(&self) -> &str {
        &self.given
    }

    /// The form that is unique.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }
}

/// Addresses are personal data: never print one.
impl std::fmt::Debug for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Email(..)")
    }
}

fn canonical_domain(domain: &str) -> Result<String, EmailError> {
    let ascii = Uts46::new()
        .to_ascii(
            domain.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::CheckFirstLast,
            DnsLength::Verify,
        )
        .map_err(|_| EmailError::Domain)?;
    match ascii.rsplit_once('.') {
        Some((_, last)) if !last.bytes().all(|b| b.is_ascii_digit()) => Ok(ascii.into_owned()),
        Some(_) | None => Err(EmailError::Domain),
    }
}

/// Lower-casing can take a letter apart (`İ`), hence NFC on both sides.
fn canonical_local(local: &str) -> String {
    local.nfc().collect::<String>().to_lowercase().nfc().collect()
}

fn check_syntax(address: &str) -> Result<(), EmailError> {
    if address.starts_with('"') {
        return Err(EmailError::NotAnAddress);
    }
    EmailAddress::parse_with_options(address, OPTIONS)
        .map(drop)
        .map_err(|_| EmailError::NotAnAddress)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(given: &str) -> Result<String, EmailError> {
        Email::parse(given.to_owned()).map(|email| email.canonical)
    }

    #[test]
    fn addresses_that_are_the_same_have_one_canonical_form() {
        let table = [
            ("ada@example.com", "ada@example.com"),
            ("Ada.Lovelace+x@EXAMPLE.Com", "ada.lovelace+x@example.com"),
            ("a@bücher.example", "a@xn--bcher-kva.example"),
            ("a@BÜCHER.example", "a@xn--bcher-kva.example"),
            ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
            ("a@bücher。example", "a@xn--bcher-kva.example"),
            ("Zoë@example.com", "zoë@example.com"),
            ("Zoe\u{308}@example.com", "zoë@example.com"),
            ("o'hara_#!@r3---sn.example.co.uk", "o'hara_#!@r3---sn.example.co.uk"),
            ("用户@例子.测试", "用户@xn--fsqu00a.xn--0zwm56d"),
        ];
        for (given, expected) in table {
            assert_eq!(canonical(given).as_deref(), Ok(expected), "{given}");
        }
    }

    #[test]
    fn the_given_form_is_kept() {
        assert_eq!(Email::parse("Ada@Example.COM".into()).unwrap().given(), "Ada@Example.COM");
    }

    #[test]
    fn what_is_not_an_acceptable_address_is_refused() {
        use EmailError::{Domain, NotAnAddress};
        let table = [
            ("", NotAnAddress),
            ("ada", NotAnAddress),
            ("@example.com", NotAnAddress),
            ("ada@", Domain),
            ("ada@example", Domain),
            ("ada@example.com.", Domain),
            ("ada@example..com", Domain),
            ("ada@-example.com", Domain),
            ("ada@exa_mple.com", Domain),
            ("ada@exam ple.com", Domain),
            ("ada@[192.0.2.1]", Domain),
            ("ada@192.0.2.1", Domain),
            ("ada@example.com>", Domain),
            (" ada@example.com", NotAnAddress),
            ("ada@example.com ", Domain),
            ("ada@example.com\n", Domain),
            ("a da@example.com", NotAnAddress),
            ("ada\0@example.com", NotAnAddress),
            ("ada\r\nbcc:x@example.com", NotAnAddress),
            ("a\u{200b}da@example.com", NotAnAddress),
            (".ada@example.com", NotAnAddress),
            ("ada.@example.com", NotAnAddress),
            ("a..da@example.com", NotAnAddress),
            ("ada@ada@example.com", NotAnAddress),
            ("\"ada\"@example.com", NotAnAddress),
            ("Ada <ada@example.com>", Domain),
            ("Ada <ada@example.com", NotAnAddress),
            ("<ada@example.com", NotAnAddress),
        ];
        for (given, expected) in table {
            assert_eq!(canonical(given), Err(expected), "{given:?}");
        }
    }

    #[test]
    fn the_limits_are_exact() {
        let label = "d".repeat(62);
        let domain = format!("{label}.{label}.{label}.ex");
        let longest = format!("{}@{domain}", "a".repeat(BYTES_MAX - 1 - domain.len()));
        assert_eq!(longest.len(), BYTES_MAX);
        assert!(canonical(&longest).is_ok(), "{:?}", canonical(&longest));
        assert_eq!(canonical(&format!("a{longest}")), Err(EmailError::TooLong));
        let local = "a".repeat(64);
        assert!(canonical(&format!("{local}@example.com")).is_ok());
        assert_eq!(canonical(&format!("{local}a@example.com")), Err(EmailError::NotAnAddress));
    }

    proptest! {
        #[test]
        fn no_text_crashes_the_parser(text in "\\PC{0,40}@?\\PC{0,40}") {
            let _parsed = Email::parse(text);
        }

        #[test]
        fn what_is_accepted_is_short_and_has_an_ascii_domain(text in "\\PC{1,20}@\\PC{1,20}\\.[a-z]{2,5}") {
            if let Ok(email) = Email::parse(text) {
                let (local, domain) = email.canonical().rsplit_once('@').unwrap();
                prop_assert!(email.canonical().len() <= BYTES_MAX);
                prop_assert!(domain.is_ascii() && domain.contains('.'));
                prop_assert_eq!(domain, domain.to_lowercase());
                prop_assert_eq!(canonical_local(local), local);
            }
        }

        #[test]
        fn case_never_makes_another_account(
            text in "[a-z0-9!#$+_-]{1,20}(\\.[a-z0-9]{1,5}){0,2}@[a-z0-9]{1,9}\\.[a-z]{2,5}",
        ) {
            let lower = canonical(&text);
            prop_assert!(lower.is_ok(), "{}", text);
            prop_assert_eq!(canonical(&text.to_uppercase()), lower);
        }
    }
}
