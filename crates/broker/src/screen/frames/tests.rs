use amq_protocol::frame::{AMQPFrame, parse_frame};
use amq_protocol::types::{AMQPValue, FieldTable};
use lapin::BasicProperties;
use proptest::prelude::*;

use super::super::DROPPED;
use super::*;

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind, 0, 1];
    frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    frame.extend(payload);
    frame.push(END);
    frame
}

/// A content header with these headers and a message id.
fn content(body_bytes: u64, table: &[u8], id: &[u8]) -> Vec<u8> {
    let mut payload = vec![0, 60, 0, 0];
    payload.extend(body_bytes.to_be_bytes());
    payload.extend((1u16 << 13 | 1 << 7).to_be_bytes());
    payload.extend(u32::try_from(table.len()).unwrap().to_be_bytes());
    payload.extend(table);
    payload.push(u8::try_from(id.len()).unwrap());
    payload.extend(id);
    frame(HEADER, &payload)
}

fn entry(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[u8::try_from(name.len()).unwrap()], name, value].concat()
}

fn long(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[kind], &length[..], bytes].concat()
}

/// What lapin's parser makes of what comes out, when so many bytes come in at once.
fn read(room: Room, input: &[u8], at_once: usize) -> Vec<AMQPFrame> {
    let (mut frames, mut out, mut into) = (Frames::new(room), Vec::new(), [0; 100]);
    for some in input.chunks(at_once) {
        frames.feed(some);
        loop {
            match frames.take(&mut into) {
                0 => break,
                bytes => out.extend(&into[..bytes]),
            }
        }
    }
    let (mut rest, mut read) = (&out[..], Vec::new());
    while !rest.is_empty() {
        let (behind, frame) = parse_frame(rest).expect("lapin reads it");
        rest = behind;
        read.push(frame);
    }
    read
}

fn header_of(frames: &[AMQPFrame]) -> (u64, BasicProperties) {
    let found = frames.iter().find_map(|frame| match frame {
        AMQPFrame::Header(_, header) => Some((header.body_size, header.properties.clone())),
        _ => None,
    });
    found.expect("there is a content header")
}

fn headers(table: &[u8]) -> FieldTable {
    let frames = read(Room::default(), &content(0, table, b"id"), 50);
    let (_, properties) = header_of(&frames);
    assert_eq!(properties.message_id().as_ref().unwrap().as_str(), "id");
    properties.headers().clone().unwrap()
}

fn dropped(headers: &FieldTable) -> String {
    match headers.inner().get(DROPPED) {
        Some(AMQPValue::LongString(names)) => names.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_that_can_be_read_stays_as_it_is() {
    let table = [
        entry(b"traceparent", &long(b'S', b"00-\xff")),
        entry(b"at", b"T\0\0\0\0\0\0\0\x01"),
        entry(b"price", b"D\x02\0\0\0\x07"),
        entry(b"x-death", &long(b'A', &long(b'F', &entry(b"count", b"l\0\0\0\0\0\0\0\x01")))),
    ]
    .concat();
    let input = [content(3, &table, b"id"), frame(BODY, b"a"), frame(BODY, b"bc")].concat();
    for at_once in [1, 7, 1_000] {
        let mut frames = Frames::new(Room::default());
        let mut out = vec![0; input.len() + 1];
        input.chunks(at_once).for_each(|some| frames.feed(some));
        let bytes = frames.take(&mut out);
        assert_eq!(out[..bytes], input, "{at_once}");
    }
}

#[test]
fn headers_that_lapin_cannot_hold_are_left_out_and_named() {
    let mut deep = long(b'A', b"");
    for _ in 0..2_000 {
        deep = long(b'A', &deep);
    }
    let many = vec![b'V'; 5_000];
    let table = [
        entry(b"deep", &deep),
        entry(b"many", &long(b'A', &many)),
        entry(b"kept", b"t\x01"),
        entry(b"\xff", b"V"),
        entry(b"inner", &long(b'F', &entry(b"\xff", b"V"))),
        entry(b"large", &long(b'x', &vec![0; 130_000])),
        entry(b"alien", b"Z"),
        entry(b"lost", b"V"),
    ]
    .concat();
    let headers = headers(&table);
    assert_eq!(headers.inner().len(), 2, "{headers:?}");
    assert!(headers.contains_key("kept"));
    assert_eq!(dropped(&headers), "deep, many, \u{fffd}, inner, (the rest), large");
}

#[test]
fn headers_of_less_than_a_frame_are_kept() {
    let large = |bytes| entry(b"large", &long(b'S', &vec![b'x'; bytes]));
    assert_eq!(headers(&large(20_000)).inner().len(), 1);
    assert_eq!(headers(&large(119_000)).inner().len(), 1);
    assert_eq!(dropped(&headers(&large(131_000))), "large");
}

#[test]
fn a_message_id_of_any_bytes_is_read() {
    let frames = read(Room::default(), &content(0, b"", b"a\xffb"), 9);
    assert_eq!(header_of(&frames).1.message_id().as_ref().unwrap().as_str(), "a?b");
}

#[test]
fn of_a_large_body_the_beginning_remains_and_the_next_message_is_whole() {
    let size = 3 * 131_064;
    let part = frame(BODY, &vec![7; 131_064]);
    let input = [
        content(size, b"", b"large"),
        [&part[..], &part, &part].concat(),
        content(2, b"", b"next"),
        frame(BODY, b"ok"),
    ]
    .concat();
    for (room, expected) in [(Room::default(), CUT_BYTES), (Room::for_consumer(), 3 * 131_064)] {
        let frames = read(room, &input, 4_096);
        assert_eq!(header_of(&frames).0, expected as u64);
        let bodies = frames.iter().filter_map(|frame| match frame {
            AMQPFrame::Body(_, body) => Some(body.len()),
            _ => None,
        });
        let bodies: Vec<usize> = bodies.collect();
        assert_eq!(bodies.iter().sum::<usize>(), expected + 2);
        assert_eq!(bodies.last(), Some(&2));
    }
}

#[test]
fn a_few_large_bodies_are_whole_at_the_same_time() {
    let room = Room::for_consumer();
    let whole = (0..20).filter(|_| room.takes(1_000_000)).count();
    assert_eq!(whole, 8);
    room.left(CUT_BYTES);
    assert!(!room.takes(1_000_000), "a body that was cut takes no room");
    room.left(1_000_000);
    assert!(!room.takes(80_000_000) && room.takes(1_000_000) && !room.takes(1_000_000));
}

#[test]
fn an_answer_that_is_no_frame_passes() {
    let mut frames = Frames::new(Room::default());
    frames.feed(b"AMQ");
    frames.feed(b"P\0\0\x09\x01");
    let mut into = [0; 20];
    let bytes = frames.take(&mut into);
    assert_eq!(&into[..bytes], b"AMQP\0\0\x09\x01");
}

proptest! {
    #[test]
    fn whatever_the_headers_are_lapin_reads_the_message(
        table in proptest::collection::vec(any::<u8>(), 0..300),
        id in proptest::collection::vec(any::<u8>(), 0..20),
        at_once in 1usize..400,
    ) {
        let frames = read(Room::default(), &content(0, &table, &id), at_once);
        prop_assert_eq!(header_of(&frames).0, 0);
    }

    #[test]
    fn whatever_the_values_are_lapin_reads_the_message(
        values in proptest::collection::vec((any::<u8>(), "[tbBsUuIifDlLdTSxAFV]", proptest::collection::vec(any::<u8>(), 0..12)), 0..8),
    ) {
        let table: Vec<u8> = values.iter().flat_map(|(name, kind, bytes)| {
            let kind = kind.as_bytes()[0];
            let value = if b"SxAF".contains(&kind) { long(kind, bytes) } else { [&[kind], &bytes[..]].concat() };
            entry(&[*name], &value)
        }).collect();
        let frames = read(Room::default(), &content(0, &table, b"id"), 64);
        prop_assert_eq!(header_of(&frames).0, 0);
    }

    #[test]
    fn no_bytes_crash_the_screen(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut frames = Frames::new(Room::default());
        frames.feed(&bytes);
    }
}
