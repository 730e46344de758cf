//! The title of a todo: 1 to 200 characters, something to be seen among them.
//!
//! A character is a Unicode scalar value. Control characters (U+0000 to U+001F
//! and U+007F to U+009F) are refused, so that a title is one line and spoils no
//! terminal. An accepted title is kept exactly as it came.

use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

/// The longest title, in characters.
const CHARS_MAX: usize = 200;
/// The rule as a regular expression (ECMA-262).
const PATTERN: &str = concat!(
    r"^[^\u0000-\u001f\u007f-\u009f]*",
    r"[^\s\u0000-\u001f\u007f-\u009f]",
    r"[^\u0000-\u001f\u007f-\u009f]*$",
);

/// Why a text is no title. The words go to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TitleError {
    #[error("must have at least 1 character")]
    Empty,
    #[error("must have at most {CHARS_MAX} characters")]
    TooLong,
    #[error("must not be white space only")]
    Blank,
    #[error("must not hold control characters (U+0000 to U+001F, U+007F to U+009F)")]
    Control,
}

/// Checks a title, and gives it back as it is.
pub(crate) fn parse(text: String) -> Result<String, TitleError> {
    if text.is_empty() {
        return Err(TitleError::Empty);
    }
    if text.chars().nth(CHARS_MAX).is_some() {
        return Err(TitleError::TooLong);
    }
    if text.chars().any(char::is_control) {
        return Err(TitleError::Control);
    }
    if text.chars().all(char::is_whitespace) {
        return Err(TitleError::Blank);
    }
    Ok(text)
}

/// The rule as a schema.
pub(crate) fn schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .examples(["Water the plants"])
        .description(Some("One line, not white space only."))
        .min_length(Some(1))
        .max_length(Some(CHARS_MAX))
        .pattern(Some(PATTERN))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_title_has_characters_that_can_be_seen() {
        for good in
            ["x", " x ", "Milch & Käse", "$userId", "{\"$gt\":\"\"}", "👩‍👩‍👧", "\u{202e}x", "a.b.$"]
        {
            assert_eq!(parse(good.to_owned()).as_deref(), Ok(good));
        }
        for (bad, why) in [
            ("", TitleError::Empty),
            (" ", TitleError::Blank),
            ("\u{3000}\u{a0}", TitleError::Blank),
            ("a\nb", TitleError::Control),
            ("\0", TitleError::Control),
            ("a\u{7f}", TitleError::Control),
            ("a\u{9b}31m", TitleError::Control),
        ] {
            assert_eq!(parse(bad.to_owned()), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn the_length_is_counted_in_characters() {
        for one in ["x", "ä", "𝄞"] {
            assert!(parse(one.repeat(CHARS_MAX)).is_ok(), "{one}");
            assert_eq!(parse(one.repeat(CHARS_MAX + 1)), Err(TitleError::TooLong), "{one}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_kept_as_it_came(text in ".{0,210}") {
            if let Ok(kept) = parse(text.clone()) {
                prop_assert_eq!(kept, text);
            }
        }
    }
}
