//! A table of headers: what lapin can hold stays, entry by entry.

use super::{DROPPED, take, take_long, take_short};

/// Tables and lists inside each other at most.
const DEPTH_MAX: usize = 16;
/// Values of a message in all, those inside of tables and lists included: each takes
/// some 60 bytes of memory, however few it has on the wire.
const VALUES_MAX: usize = 2_048;
/// All headers of a message: with what RabbitMQ and the dead letters add it fits into
/// a frame of 128 KiB.
const BYTES_MAX: usize = 120 * 1024;
/// Names of headers that were left out, in all.
const NAMES_BYTES_MAX: usize = 512;
/// What stands for headers behind one that cannot be stepped over.
const REST: &str = "(the rest)";

/// An entry, name and value, as it stands on the wire.
struct Entry<'a> {
    name: &'a [u8],
    bytes: &'a [u8],
}

/// A value was stepped over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    /// lapin reads it.
    Well,
    /// lapin does not.
    Badly,
}

/// A table with its length before it, without what lapin cannot hold; then the names of
/// those are added.
pub(super) fn screened(mut table: &[u8]) -> Vec<u8> {
    let (mut entries, mut dropped, mut values) = (Vec::new(), Vec::new(), VALUES_MAX);
    while !table.is_empty() {
        let (whole, mut left) = (table, values);
        let Some((name, read)) = entry(&mut table, &mut left) else {
            dropped.push(REST.to_owned());
            break;
        };
        let bytes = whole.get(..whole.len() - table.len()).unwrap_or_default();
        if read == Read::Well && str::from_utf8(name).is_ok() {
            values = left;
            entries.push(Entry { name, bytes });
        } else {
            dropped.push(words(name));
        }
    }
    fit(&mut entries, &mut dropped);
    let mut kept: Vec<u8> = entries.iter().flat_map(|entry| entry.bytes).copied().collect();
    if !dropped.is_empty() {
        kept.extend(note(&dropped));
    }
    with_length(&kept)
}

/// Leaves the largest out until the rest fits.
fn fit(entries: &mut Vec<Entry<'_>>, dropped: &mut Vec<String>) {
    let mut bytes: usize = entries.iter().map(|entry| entry.bytes.len()).sum();
    while bytes > BYTES_MAX {
        let sizes = entries.iter().map(|entry| entry.bytes.len()).enumerate();
        let Some((at, size)) = sizes.max_by_key(|(_, size)| *size) else { return };
        dropped.push(words(entries.remove(at).name));
        bytes -= size;
    }
}

/// The entry that names what was left out.
fn note(dropped: &[String]) -> Vec<u8> {
    let mut names = dropped.join(", ");
    names.truncate(names.floor_char_boundary(NAMES_BYTES_MAX));
    let mut entry = vec![u8::try_from(DROPPED.len()).unwrap_or_default()];
    entry.extend(DROPPED.as_bytes());
    entry.push(b'S');
    entry.extend(with_length(names.as_bytes()));
    entry
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), bytes].concat()
}

fn words(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// Steps over an entry; `None` when nobody knows where it ends.
fn entry<'a>(input: &mut &'a [u8], left: &mut usize) -> Option<(&'a [u8], Read)> {
    let name = take_short(input)?;
    Some((name, value(input, 0, left)?))
}

/// Steps over a value. The types are those that RabbitMQ writes.
fn value(input: &mut &[u8], depth: usize, left: &mut usize) -> Option<Read> {
    let [kind] = *take(input, 1)? else { return None };
    let read = match kind {
        b'V' => Read::Well,
        b't' | b'b' | b'B' => sized(input, 1)?,
        b's' | b'U' | b'u' => sized(input, 2)?,
        b'I' | b'i' | b'f' => sized(input, 4)?,
        b'D' => sized(input, 5)?,
        b'l' | b'L' | b'd' | b'T' => sized(input, 8)?,
        b'S' | b'x' => take_long(input).map(|_| Read::Well)?,
        b'A' | b'F' => inner(take_long(input)?, kind == b'F', depth + 1, left),
        _ => return None,
    };
    match left.checked_sub(1) {
        Some(fewer) => *left = fewer,
        None => return Some(Read::Badly),
    }
    Some(read)
}

fn sized(input: &mut &[u8], bytes: usize) -> Option<Read> {
    take(input, bytes).map(|_| Read::Well)
}

/// Looks through a table or a list, whose end is known whatever it holds.
fn inner(mut input: &[u8], named: bool, depth: usize, left: &mut usize) -> Read {
    if depth > DEPTH_MAX {
        return Read::Badly;
    }
    while !input.is_empty() {
        let name = if named { take_short(&mut input) } else { Some(&b""[..]) };
        let readable = name.is_some_and(|name| str::from_utf8(name).is_ok());
        if !readable || value(&mut input, depth, left) != Some(Read::Well) {
            return Read::Badly;
        }
    }
    Read::Well
}
