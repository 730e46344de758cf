//! The header field: a string of structured fields (RFC 9651, section 3.3.3),
//! `"8e03978e-…"`, or the same characters bare.

use axum::http::HeaderMap;
use onboard_http::{Kind, Problem};
use sfv::{BareItem, Item, Parser};

/// The name of the field.
pub(crate) const NAME: &str = "idempotency-key";
/// The most characters of a key.
const CHARS_MAX: usize = 255;

/// A key as the client chose it. It is not printed: who knows a client's key
/// can ask whether it was used.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct IdempotencyKey(String);

impl std::fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdempotencyKey(..)")
    }
}

impl IdempotencyKey {
    /// The key of a request, if it has one.
    ///
    /// # Errors
    /// 400 when there are several, or when it cannot be read.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut fields = headers.get_all(NAME).iter();
        match (fields.next(), fields.next()) {
            (None, _) => Ok(None),
            (Some(field), None) => Self::parse(field.as_bytes()).map(Some).ok_or_else(malformed),
            (Some(_), Some(_)) => Err(malformed()),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(field: &[u8]) -> Option<Self> {
        let field = std::str::from_utf8(field).ok()?.trim_matches([' ', '\t']);
        let key = if field.starts_with('"') { quoted(field)? } else { bare(field)?.to_owned() };
        let acceptable =
            (1..=CHARS_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        acceptable.then_some(Self(key))
    }
}

/// Parameters behind the string mean nothing to us (RFC 9651, section 3.1.2).
fn quoted(field: &str) -> Option<String> {
    let item: Item = Parser::new(field).parse().ok()?;
    match item.bare_item {
        BareItem::String(key) => Some(key.as_str().to_owned()),
        _ => None,
    }
}

/// A comma may be where a proxy joined two fields, and a quotation mark where
/// the client forgot one.
fn bare(field: &str) -> Option<&str> {
    (!field.contains([',', '"'])).then_some(field)
}

fn malformed() -> Problem {
    Problem::new(Kind::IdempotencyKeyMalformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    fn read(fields: &[&[u8]]) -> Result<Option<String>, Kind> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(NAME, HeaderValue::from_bytes(field).unwrap());
        }
        let read = IdempotencyKey::read(&headers);
        read.map(|key| key.map(|key| key.0)).map_err(|problem| problem.kind())
    }

    fn key(field: &str) -> Option<String> {
        read(&[field.as_bytes()]).unwrap_or_default()
    }

    #[test]
    fn the_structured_and_the_bare_form_are_one_key() {
        assert_eq!(read(&[]), Ok(None));
        for (field, expected) in [
            ("\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            ("\"a\"", "a"),
            ("  \"a\" ", "a"),
            (" a\t", "a"),
            ("\"a\";version=1", "a"),
            ("\"a,b\"", "a,b"),
            (r#""a\"b\\c""#, r#"a"b\c"#),
            ("a;b=c", "a;b=c"),
            (r"a\b", r"a\b"),
        ] {
            assert_eq!(key(field).as_deref(), Some(expected), "{field}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let longest = "k".repeat(CHARS_MAX);
        assert_eq!(key(&longest), Some(longest.clone()));
        assert_eq!(key(&format!("\"{longest}\"")), Some(longest.clone()));
        let longer = format!("{longest}k");
        let quoted = format!("\"{longer}\"");
        let refused = [
            "",
            " ",
            "\"\"",
            "\"",
            "\"a",
            "a\"",
            "\"a\" \"b\"",
            "\"a\"b",
            "\"a\", \"b\"",
            "a,b",
            "a b",
            "\"a b\"",
            "a\tb",
            r#""a\b""#,
            "'a' 'b'",
            "\"a\";=",
            &longer,
            &quoted,
            "kéy",
        ];
        for field in refused {
            assert_eq!(read(&[field.as_bytes()]), Err(Kind::IdempotencyKeyMalformed), "{field:?}");
        }
        assert_eq!(read(&[b"\xff"]), Err(Kind::IdempotencyKeyMalformed));
        assert_eq!(read(&[b"a", b"a"]), Err(Kind::IdempotencyKeyMalformed), "twice the same");
    }

    proptest! {
        #[test]
        fn every_visible_text_is_a_key_when_it_is_quoted(text in "[!-~]{1,255}") {
            let escaped = text.replace('\\', r"\\").replace('"', "\\\"");
            prop_assert_eq!(key(&format!("\"{escaped}\"")), Some(text.clone()));
            if !text.contains([',', '"']) {
                prop_assert_eq!(key(&text), Some(text));
            }
        }

        #[test]
        fn no_field_crashes_the_parser(bytes in proptest::collection::vec(0x20_u8..0xff, 0..300)) {
            if HeaderValue::from_bytes(&bytes).is_ok() && let Ok(Some(key)) = read(&[&bytes]) {
                prop_assert!((1..=CHARS_MAX).contains(&key.len()));
                prop_assert!(key.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}
