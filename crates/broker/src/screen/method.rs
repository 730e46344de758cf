//! The texts of methods that bring a message or say why something ended. lapin takes
//! UTF-8 alone; a routing key is any bytes.

/// A field of a method, as far as it must be stepped over.
#[derive(Clone, Copy)]
enum Field {
    Bytes(usize),
    Text,
}

const CONNECTION_CLOSE: [u8; 4] = [0, 10, 0, 50];
const CHANNEL_CLOSE: [u8; 4] = [0, 20, 0, 40];
const BASIC_RETURN: [u8; 4] = [0, 60, 0, 50];
const BASIC_DELIVER: [u8; 4] = [0, 60, 0, 60];
const BASIC_GET_OK: [u8; 4] = [0, 60, 0, 71];

/// Makes the texts of a method UTF-8, in place.
pub(super) fn screen(payload: &mut [u8]) {
    use Field::{Bytes, Text};
    let Some((method, mut rest)) = payload.split_first_chunk_mut::<4>() else { return };
    let fields: &[Field] = match *method {
        CONNECTION_CLOSE | CHANNEL_CLOSE => &[Bytes(2), Text],
        BASIC_RETURN => &[Bytes(2), Text, Text, Text],
        BASIC_DELIVER => &[Text, Bytes(9), Text, Text],
        BASIC_GET_OK => &[Bytes(9), Text, Text],
        _ => return,
    };
    for field in fields {
        let bytes = match *field {
            Bytes(bytes) => bytes,
            Text => {
                let Some((length, behind)) = rest.split_first_mut() else { return };
                rest = behind;
                usize::from(*length)
            }
        };
        let Some((value, behind)) = rest.split_at_mut_checked(bytes) else { return };
        if matches!(field, Text) {
            plain(value);
        }
        rest = behind;
    }
}

/// Puts a question mark for each byte that is not ASCII when the text is not UTF-8.
pub(super) fn plain(text: &mut [u8]) {
    if str::from_utf8(text).is_err() {
        for byte in text.iter_mut().filter(|byte| !byte.is_ascii()) {
            *byte = b'?';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(key: &[u8]) -> Vec<u8> {
        let mut method = BASIC_DELIVER.to_vec();
        method.extend(b"\x03tag\0\0\0\0\0\0\0\xff\x01\x02ex");
        method.push(u8::try_from(key.len()).unwrap());
        method.extend(key);
        method
    }

    #[test]
    fn a_routing_key_of_any_bytes_is_read() {
        for (key, expected) in [
            (&b"user.registered"[..], &b"user.registered"[..]),
            ("schlüssel".as_bytes(), "schlüssel".as_bytes()),
            (b"a\xffb\xc3", b"a?b?"),
            (b"", b""),
        ] {
            let mut method = delivered(key);
            screen(&mut method);
            assert_eq!(method, delivered(expected));
        }
    }

    #[test]
    fn a_method_that_is_cut_or_unknown_stays_as_it_is() {
        let whole = delivered(b"\xff");
        for length in 0..whole.len() {
            let mut cut = whole[..length].to_vec();
            screen(&mut cut);
            assert_eq!(cut, whole[..length], "{length}");
        }
        let mut other = b"\0\x3c\0\x50\xff\xff".to_vec();
        screen(&mut other);
        assert_eq!(other, b"\0\x3c\0\x50\xff\xff");
    }
}
