//! E-mail addresses: what is accepted, and which are the same.
//!
//! An address is kept as given; mail goes to that form. Its canonical form
//! decides uniqueness:
//! - the domain as IDNA (UTS 46) makes it: lower case, punycode;
//! - the local part folded (`forms`). RFC 5321 lets a server tell `Ada` from `ada`;
//!   in practice none does, and two accounts for one mailbox would be the greater
//!   harm.
//!
//! Nothing else is folded: `a.da` and `ada+x` are other addresses than `ada`,
//! since only the mailbox's own server knows. Nothing is trimmed.
//!
//! Refused although RFC 5321 and RFC 6531 know them: quoted local parts (`"ada"@…`, a
//! second spelling of the same mailbox), address literals (`ada@[192.0.2.1]`),
//! domains without a dot or with a number as the last label, and characters that
//! nobody sees (`characters`). An account that has such an address logs in all the
//! same: see [`candidates`].

mod characters;
mod forms;
pub mod migrate;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use unicode_normalization::UnicodeNormalization;

use crate::store::displaced;

/// The longest address in bytes (RFC 5321, section 4.5.3.1.3: a path of 256
/// octets with its angle brackets).
pub const BYTES_MAX: usize = 254;
/// The longest local part in bytes (RFC 5321, section 4.5.3.1.1).
const LOCAL_BYTES_MAX: usize = 64;

/// An acceptable address.
#[derive(Clone, PartialEq, Eq)]
pub struct Email {
    given: String,
    canonical: String,
    released: String,
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
        // The local part is judged in its composed form.
        let composed: String = local.nfc().collect();
        let folded = forms::folded(local);
        // A character that folds to the separator looks like it.
        if !characters::are_allowed(&composed)
            || composed.len() > LOCAL_BYTES_MAX
            || folded.is_empty()
            || folded.contains('@')
        {
            return Err(EmailError::NotAnAddress);
        }
        let canonical = format!("{folded}@{domain}");
        let released = format!("{}@{domain}", forms::released(local));
        if canonical.len() > BYTES_MAX {
            return Err(EmailError::TooLong);
        }
        Ok(Self { given, canonical, released })
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

    /// The form under which a released build keeps the address, where it is another.
    #[must_use]
    pub fn released(&self) -> Option<&str> {
        Some(self.released.as_str()).filter(|released| *released != self.canonical)
    }
}

/// The forms under which the account of an address may be kept, the nearest first: that
/// of an account that an older one has displaced, that of a released build, and
/// the canonical one. An address that is not acceptable any more is found as a
/// released build has kept it. None for a text that is no address.
#[must_use]
pub fn candidates(given: &str) -> Vec<String> {
    let Some((local, domain)) = given.rsplit_once('@') else { return Vec::new() };
    let Ok(domain) = canonical_domain(domain) else { return Vec::new() };
    let released = format!("{}@{domain}", forms::released(local));
    let mut candidates = vec![displaced(&released), released];
    if let Ok(email) = Email::parse(given.to_owned())
        && email.released().is_some()
    {
        candidates.push(email.canonical);
    }
    candidates
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
            ("STRASSE@example.com", "strasse@example.com"),
            ("straße@example.com", "strasse@example.com"),
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
            ("\u{3164}@example.com", NotAnAddress),
            ("ada＠b@example.com", NotAnAddress),
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
    fn an_account_is_looked_for_under_every_form_it_may_have() {
        let of = |given: &str| candidates(given);
        assert_eq!(of("Ada@Example.com"), [":ada@example.com", "ada@example.com"]);
        let folded = [":straße@example.com", "straße@example.com", "strasse@example.com"];
        assert_eq!(of("Straße@example.com"), folded);
        let blank = [":a\u{3164}@example.com", "a\u{3164}@example.com"];
        assert_eq!(of("A\u{3164}@example.com"), blank, "no longer acceptable");
        assert_eq!(of("no address"), [""; 0]);
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
                prop_assert_eq!(forms::folded(local), local);
                let candidates = candidates(email.given());
                prop_assert_eq!(candidates.last().unwrap(), email.canonical());
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
