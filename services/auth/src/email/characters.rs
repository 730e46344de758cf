//! Which characters a local part may hold: those of RFC 6531, less those that nobody
//! sees.
//!
//! Two addresses that look alike and differ in an invisible character would be two
//! accounts. The joiners are invisible, too, and some scripts need them inside
//! words: they stand where the rules of RFC 5892 allow them, and the canonical form
//! leaves them out. The functions are pure: a process that dies here has changed
//! nothing.

use icu_properties::props::{
    CanonicalCombiningClass, DefaultIgnorableCodePoint, GeneralCategory, JoiningType,
    PrependedConcatenationMark, WhiteSpace,
};
use icu_properties::{CodePointMapData, CodePointSetData};

const NON_JOINER: char = '\u{200C}';
const JOINER: char = '\u{200D}';
/// Symbols without ink: the blank of Braille, and the musical null notehead.
const BLANK: [char; 2] = ['\u{2800}', '\u{1D159}'];
/// The special characters of an atom (RFC 5322, section 3.2.3).
const ATOM: &str = "!#$%&'*+-/=?^_`{|}~";

/// Whether a local part, in its composed form, is a dot-atom (RFC 5322, RFC 6531)
/// whose characters can all be seen.
pub(super) fn are_allowed(local: &str) -> bool {
    let all: Vec<char> = local.chars().collect();
    let each = all.iter().enumerate().all(|(at, found)| match *found {
        '.' => true,
        NON_JOINER | JOINER => joins(&all, at),
        found if found.is_ascii() => found.is_ascii_alphanumeric() || ATOM.contains(found),
        found => can_be_seen(found),
    });
    each && local.split('.').all(|atom| !atom.is_empty())
}

/// A character that is drawn, alone or on the one before it, and that has a meaning.
fn can_be_seen(found: char) -> bool {
    use GeneralCategory::{
        Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, SpaceSeparator, Surrogate,
        Unassigned,
    };
    let is_ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(found)
        || CodePointSetData::new::<WhiteSpace>().contains(found)
        || BLANK.contains(&found);
    let is_drawn = match CodePointMapData::<GeneralCategory>::new().get(found) {
        Control | LineSeparator | ParagraphSeparator | SpaceSeparator | PrivateUse | Surrogate
        | Unassigned => false,
        Format => CodePointSetData::new::<PrependedConcatenationMark>().contains(found),
        _ => true,
    };
    is_drawn && !is_ignorable
}

/// The rules of context for the joiners (RFC 5892, appendix A.1 and A.2).
fn joins(all: &[char], at: usize) -> bool {
    let (before, rest) = all.split_at_checked(at).unwrap_or_default();
    let (joiner, after) =
        rest.split_first().map_or((None, rest), |(one, after)| (Some(*one), after));
    let combining = CodePointMapData::<CanonicalCombiningClass>::new();
    let follows_virama =
        before.last().is_some_and(|last| combining.get(*last) == CanonicalCombiningClass::Virama);
    let of = CodePointMapData::<JoiningType>::new();
    let first = |joining: JoiningType| joining != JoiningType::Transparent;
    let left = before.iter().rev().map(|found| of.get(*found)).find(|joining| first(*joining));
    let right = after.iter().map(|found| of.get(*found)).find(|joining| first(*joining));
    let between = matches!(left, Some(JoiningType::LeftJoining | JoiningType::DualJoining))
        && matches!(right, Some(JoiningType::RightJoining | JoiningType::DualJoining));
    follows_virama || (joiner == Some(NON_JOINER) && between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_scripts_are_allowed() {
        for local in [
            "ada.lovelace+x",
            "o'hara_#!",
            "রহিম.উদ্দিন",
            "अनुष्का",
            "தமிழ்ச்செல்வி",
            "สมชาย.ใจดี",
            "เบ้าหน้า",
            "မောင်မောင်",
            "សុខា",
            "නිමල්",
            "ⵜⵉⴼⵉⵏⴰⵖ",
            "محمد",
            "دانیال",
            "用户",
            "おのでら",
            "김철수",
            "Ελένη",
            "naïve",
            "zoe\u{308}",
            "𐍈𐌿𐌻𐍆𐌹𐌻𐌰",
            "😀",
            // A non-joiner inside a Persian word, and joiners after a virama.
            "می\u{200C}خواهم",
            "नामः\u{94D}\u{200D}",
            "ක්\u{200D}ෂ",
            "ക്\u{200C}ഷ",
        ] {
            assert!(are_allowed(local), "{local}");
        }
    }

    #[test]
    fn what_nobody_sees_is_refused() {
        for invisible in [
            '\u{3164}',
            '\u{FFA0}',
            '\u{115F}',
            '\u{1160}',
            '\u{AD}',
            '\u{34F}',
            '\u{61C}',
            '\u{180E}',
            '\u{180B}',
            '\u{17B4}',
            '\u{200B}',
            '\u{200C}',
            '\u{200D}',
            '\u{200E}',
            '\u{202E}',
            '\u{2060}',
            '\u{2061}',
            '\u{2066}',
            '\u{206F}',
            '\u{FEFF}',
            '\u{FE0F}',
            '\u{FFF9}',
            '\u{E0001}',
            '\u{E0100}',
            '\u{1D173}',
            '\u{2800}',
            '\u{A0}',
            '\u{3000}',
            '\u{1680}',
            '\u{2003}',
            '\u{2028}',
            '\u{2029}',
            '\u{85}',
            '\u{80}',
            '\u{0}',
            ' ',
            '\u{E000}',
            '\u{FDD0}',
            '\u{FFFF}',
            '\u{378}',
            '\u{1D159}',
            '"',
            '(',
            '@',
            ',',
            '\\',
        ] {
            for local in
                [format!("a{invisible}da"), format!("{invisible}"), format!("ada{invisible}")]
            {
                assert!(!are_allowed(&local), "{invisible:?}");
            }
        }
    }

    #[test]
    fn a_joiner_stands_where_the_script_needs_it_alone() {
        for local in [
            // Between Latin letters, at either end, between letters that do not join, and
            // between emoji.
            "a\u{200D}b",
            "a\u{200C}b",
            "\u{200C}محمد",
            "محمد\u{200C}",
            "دا\u{200C}نیال",
            "می\u{200D}خواهم",
            "👩\u{200D}💻",
            "न\u{200D}म",
        ] {
            assert!(!are_allowed(local), "{local:?}");
        }
        // A mark between letter and non-joiner is looked past.
        assert!(are_allowed("ب\u{64B}\u{200C}ب"));
    }
}
