//! Entity tags and the conditions over them (RFC 9110, sections 8.8.3 and 13).
//!
//! A tag is the version of the todo, and strong: a version is written once.

use axum::http::HeaderMap;
use axum::http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};

use crate::todos::Expected;

/// The tag of a version.
pub(crate) fn tag(version: i64) -> String {
    format!("\"{version}\"")
}

/// What `If-Match` asks for. Without it the last write wins. A tag that is not
/// one of ours matches nothing, and neither does a weak one (section 13.1.1).
pub(crate) fn expected(headers: &HeaderMap) -> Expected {
    match Condition::of(headers, &IF_MATCH) {
        Condition::Absent | Condition::Any => Expected::Any,
        Condition::Tags(tags) => {
            let strong = tags.into_iter().filter(|tag| !tag.weak);
            Expected::OneOf(strong.map(|tag| tag.version).collect())
        }
    }
}

/// Whether `If-None-Match` says that the client has this version. Weak tags
/// count (section 13.1.2).
pub(crate) fn is_known(headers: &HeaderMap, version: i64) -> bool {
    match Condition::of(headers, &IF_NONE_MATCH) {
        Condition::Absent => false,
        Condition::Any => true,
        Condition::Tags(tags) => tags.iter().any(|tag| tag.version == version),
    }
}

enum Condition {
    Absent,
    Any,
    Tags(Vec<Tag>),
}

struct Tag {
    weak: bool,
    version: i64,
}

impl Condition {
    fn of(headers: &HeaderMap, name: &HeaderName) -> Self {
        if !headers.contains_key(name) {
            return Self::Absent;
        }
        let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
        // No tag of ours holds a comma.
        let members: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
        if members == ["*"] {
            return Self::Any;
        }
        Self::Tags(members.into_iter().filter_map(Tag::parse).collect())
    }
}

impl Tag {
    fn parse(text: &str) -> Option<Self> {
        let (weak, opaque) = match text.strip_prefix("W/") {
            Some(opaque) => (true, opaque),
            None => (false, text),
        };
        let digits = opaque.strip_prefix('"')?.strip_suffix('"')?;
        let version: i64 = digits.parse().ok()?;
        // One spelling per version.
        (tag(version) == opaque).then_some(Self { weak, version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(name: &HeaderName, lines: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_bytes(line).unwrap());
        }
        headers
    }

    #[test]
    fn only_a_strong_tag_of_ours_matches() {
        let one_of = |versions: &[i64]| Expected::OneOf(versions.to_vec());
        let table: &[(&[&[u8]], Expected)] = &[
            (&[], Expected::Any),
            (&[b"*"], Expected::Any),
            (&[b" * "], Expected::Any),
            (&[b"\"1\""], one_of(&[1])),
            (&[b"\"1\", \"2\"", b"\"3\""], one_of(&[1, 2, 3])),
            (&[b"W/\"1\""], one_of(&[])),
            (&[b"1"], one_of(&[])),
            (&[b""], one_of(&[])),
            (&[b"\"01\""], one_of(&[])),
            (&[b"\"+1\""], one_of(&[])),
            (&[b"\"1"], one_of(&[])),
            (&[b"\""], one_of(&[])),
            (&[b"\"9223372036854775808\""], one_of(&[])),
            (&[b"{\"$gt\":0}"], one_of(&[])),
            (&[b"\xff"], one_of(&[])),
            (&[b"*, \"2\""], one_of(&[2])),
        ];
        for (lines, expectation) in table {
            assert_eq!(expected(&headers(&IF_MATCH, lines)), *expectation, "{lines:?}");
        }
    }

    #[test]
    fn a_client_that_has_the_version_is_told_so() {
        let table: &[(&[&[u8]], bool)] = &[
            (&[], false),
            (&[b"*"], true),
            (&[b"\"7\""], true),
            (&[b"W/\"7\""], true),
            (&[b"\"6\", W/\"7\""], true),
            (&[b"\"6\""], false),
            (&[b"7"], false),
        ];
        for (lines, known) in table {
            assert_eq!(is_known(&headers(&IF_NONE_MATCH, lines), 7), *known, "{lines:?}");
        }
    }
}
