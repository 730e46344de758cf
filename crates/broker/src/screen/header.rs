//! A content header: the size of a body and the properties of its message.

use super::{table, take, take_long, take_short};
use crate::screen::method::plain;

/// What a property looks like.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Table,
    Bytes(usize),
}

/// The properties of class basic, in the order of their flags from the highest bit on.
const PROPERTIES: [Kind; 14] = {
    use Kind::{Bytes, Table, Text};
    [
        Text,
        Text,
        Table,
        Bytes(1),
        Bytes(1),
        Text,
        Text,
        Text,
        Text,
        Bytes(8),
        Text,
        Text,
        Text,
        Text,
    ]
};
const FLAG_OF_THE_FIRST: u16 = 1 << 15;
/// Class and weight stand before the size.
const BEFORE_SIZE_BYTES: usize = 4;

/// A content header.
pub(super) struct Content<'a> {
    before: &'a [u8],
    /// The size of the body.
    pub(super) body_bytes: u64,
    flags: u16,
    properties: &'a [u8],
}

impl<'a> Content<'a> {
    /// Reads a payload; `None` when it is too short to be one.
    pub(super) fn read(mut payload: &'a [u8]) -> Option<Self> {
        let before = take(&mut payload, BEFORE_SIZE_BYTES)?;
        let body_bytes = u64::from_be_bytes(take(&mut payload, 8)?.try_into().ok()?);
        let flags = u16::from_be_bytes(take(&mut payload, 2)?.try_into().ok()?);
        Some(Self { before, body_bytes, flags, properties: payload })
    }

    /// The payload with this size of the body and with properties that lapin reads.
    /// Properties behind one that cannot be stepped over are left out.
    pub(super) fn screened(&self, body_bytes: u64) -> Vec<u8> {
        let (mut input, mut flags, mut properties) = (self.properties, 0, Vec::new());
        for (at, kind) in PROPERTIES.iter().enumerate() {
            let flag = FLAG_OF_THE_FIRST >> at;
            if self.flags & flag == 0 {
                continue;
            }
            let Some(property) = kind.screened(&mut input) else { break };
            properties.extend(property);
            flags |= flag;
        }
        let mut payload = self.before.to_vec();
        payload.extend(body_bytes.to_be_bytes());
        payload.extend(flags.to_be_bytes());
        payload.extend(properties);
        payload
    }
}

impl Kind {
    fn screened(self, input: &mut &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => take(input, bytes).map(<[u8]>::to_vec),
            Self::Table => take_long(input).map(table::screened),
            Self::Text => {
                let mut text = take_short(input)?.to_vec();
                plain(&mut text);
                text.insert(0, u8::try_from(text.len()).ok()?);
                Some(text)
            }
        }
    }
}
