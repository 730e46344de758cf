//! The forms of an address: the canonical one, and the one of released builds.
//!
//! The canonical form of a local part is its NFKC case folding (`toNFKC_Casefold`,
//! Unicode 3.13): no two addresses that differ in case, in width, in how a letter is
//! composed, or in characters that nobody sees have different ones. Released builds
//! took NFC and lower case; accounts of theirs are found by that form, too
//! (docs/adr/0047). The functions are pure: a process that dies here has changed
//! nothing.

use caseless::Caseless as _;
use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;
use unicode_normalization::UnicodeNormalization as _;

/// The canonical form of a local part.
pub(super) fn folded(local: &str) -> String {
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    // Folding may bring what is to be folded again, hence twice (Unicode D146).
    let once: String = local.nfd().default_case_fold().nfkd().default_case_fold().collect();
    let seen = |found: &char| !ignorable.contains(*found);
    once.nfkd().filter(seen).nfc().collect()
}

/// The form of released builds. Lower-casing can take a letter apart (`İ`), hence
/// NFC on both sides.
pub(super) fn released(local: &str) -> String {
    local.nfc().collect::<String>().to_lowercase().nfc().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_differs_in_case_alone_has_one_form() {
        for (one, other) in [
            ("ΝΙΚΟΣ.Α", "νικος.α"),
            ("STRASSE", "straße"),
            ("STRAẞE", "strasse"),
            ("ſ", "s"),
            ("İ", "i\u{307}"),
            ("Zoe\u{308}", "ZOË"),
            ("ᾳ", "ΑΙ"),
            ("ＡＤＡ", "ada"),
            ("ﬁnn", "FINN"),
            ("\u{212A}elvin", "kelvin"),
            ("می\u{200C}خواهم", "میخواهم"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        for (one, other) in [("ada", "ada1"), ("ı", "i"), ("ß", "s"), ("а", "a")] {
            assert_ne!(folded(one), folded(other), "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn a_form_has_no_other_form(local in "\\PC{0,20}") {
            let form = folded(&local);
            prop_assert_eq!(folded(&form), form.clone());
            prop_assert_eq!(folded(&local.nfd().collect::<String>()), form.clone());
            prop_assert_eq!(folded(&released(&local)), form);
        }

        #[test]
        fn the_ascii_form_is_the_lower_case(local in "[!-~]{0,30}") {
            prop_assert_eq!(folded(&local), local.to_ascii_lowercase());
            prop_assert_eq!(released(&local), local.to_ascii_lowercase());
        }
    }
}
