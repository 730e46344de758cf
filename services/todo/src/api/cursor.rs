//! Where a list goes on, as an opaque text: base64url of the position and of a
//! digest over user and position.
//!
//! The digest is no secret and keeps nobody out: what a user sees is decided by
//! the filter. It tells a cursor that we gave to this user from junk.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use onboard_contract::UserId;
use ring::digest::{Context, SHA256};
use uuid::Uuid;

use crate::todos::Position;

const CONTEXT: &[u8] = b"onboard todos cursor 1";
const DIGEST_BYTES: usize = 8;

/// What is said of a text that is no cursor of this user.
pub(crate) const REFUSED: &str = "must be a nextCursor that this API has answered to you";

/// The text for a position in a user's list.
pub(crate) fn write(user: UserId, position: Position) -> String {
    let mut bytes = body(position);
    bytes.extend_from_slice(&digest(user, &bytes));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The position that [`write`] wrote for this user.
pub(crate) fn read(user: UserId, text: &str) -> Option<Position> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (at, rest) = bytes.split_first_chunk::<8>()?;
    let (id, given) = rest.split_first_chunk::<16>()?;
    let position =
        Position { created_at_ms: i64::from_be_bytes(*at), id: Uuid::from_bytes(*id).into() };
    (digest(user, &body(position)) == given).then_some(position)
}

fn body(position: Position) -> Vec<u8> {
    [&position.created_at_ms.to_be_bytes()[..], position.id.uuid().as_bytes()].concat()
}

fn digest(user: UserId, body: &[u8]) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    for part in [CONTEXT, user.uuid().as_bytes(), body] {
        context.update(part);
    }
    context.finish().as_ref().iter().take(DIGEST_BYTES).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user(n: u128) -> UserId {
        Uuid::from_u128(n).into()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_by_the_same_user(at: i64, id: u128, one: u128, other: u128) {
            let position = Position { created_at_ms: at, id: Uuid::from_u128(id).into() };
            let text = write(user(one), position);
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            prop_assert_eq!(read(user(one), &text), Some(position));
            prop_assert_eq!(read(user(other), &text).is_some(), one == other);
        }

        #[test]
        fn an_altered_cursor_is_none(at: i64, id: u128, place in 0..43_usize, letter in "[A-Za-z0-9_=$.-]") {
            let position = Position { created_at_ms: at, id: Uuid::from_u128(id).into() };
            let text = write(user(1), position);
            let mut altered = text.clone();
            altered.replace_range(place..=place, &letter);
            prop_assert_eq!(read(user(1), &altered).is_some(), altered == text);
            prop_assert_eq!(read(user(1), &text[..place]), None);
        }

        #[test]
        fn no_text_crashes_the_reader(text in ".{0,80}") {
            prop_assert_eq!(read(user(1), &text), None);
        }
    }
}
