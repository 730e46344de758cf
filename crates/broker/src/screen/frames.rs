//! The frames of a connection (AMQP 0-9-1, 4.2.3), as they come in piece by piece.
//!
//! Methods and content headers are gathered whole and screened; bodies pass through.

use std::collections::HashMap;

use onboard_contract::event::BODY_BYTES_MAX;

use super::{CUT_BYTES, Room, header, method};

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
/// The octet behind a frame.
const END: u8 = 0xCE;
/// Type, channel and size.
const HEAD_BYTES: usize = 7;
/// No frame that is gathered is larger: RabbitMQ's frames are 128 KiB by default, and
/// those of a message that it gave up on little more.
const GATHERED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The memory that stays for what comes next.
const OUT_BYTES_KEPT: usize = 32 * 1024;

/// The frames of a connection.
#[derive(Debug)]
pub(super) struct Frames {
    state: State,
    /// What may be read, from `taken` on.
    out: Vec<u8>,
    taken: usize,
    /// How much of a body that is cut still passes, by channel.
    passes: HashMap<u16, usize>,
    room: Room,
}

#[derive(Debug)]
enum State {
    /// The head of the next frame.
    Head(Vec<u8>),
    /// A frame that is gathered, with the octet behind it.
    Gathered { kind: u8, channel: u16, size: usize, bytes: Vec<u8> },
    /// A frame of a body: so many bytes pass, so many are dropped, then its end.
    Body { passes: usize, dropped: usize, seen: bool },
    /// Not frames, or none that can be screened: lapin says what is wrong.
    Through,
}

impl Frames {
    pub(super) fn new(room: Room) -> Self {
        let state = State::Head(Vec::with_capacity(HEAD_BYTES));
        Self { state, out: Vec::new(), taken: 0, passes: HashMap::new(), room }
    }

    /// Takes what may be read.
    pub(super) fn take(&mut self, into: &mut [u8]) -> usize {
        let ready = self.out.get(self.taken..).unwrap_or_default();
        let bytes = ready.len().min(into.len());
        if let (Some(into), Some(ready)) = (into.get_mut(..bytes), ready.get(..bytes)) {
            into.copy_from_slice(ready);
        }
        self.taken += bytes;
        if self.taken == self.out.len() {
            self.out.clear();
            self.out.shrink_to(OUT_BYTES_KEPT);
            self.taken = 0;
        }
        bytes
    }

    /// Takes in what has come.
    pub(super) fn feed(&mut self, mut input: &[u8]) {
        while !input.is_empty() {
            match std::mem::replace(&mut self.state, State::Through) {
                State::Through => {
                    self.out.extend_from_slice(input);
                    return;
                }
                State::Head(mut head) => {
                    fill(&mut head, HEAD_BYTES, &mut input);
                    self.state = self.after_head(head);
                }
                State::Gathered { kind, channel, size, mut bytes } => {
                    fill(&mut bytes, size + 1, &mut input);
                    self.state = if bytes.len() > size {
                        self.gathered(kind, channel, bytes);
                        State::Head(Vec::new())
                    } else {
                        State::Gathered { kind, channel, size, bytes }
                    };
                }
                State::Body { passes, dropped, seen } => {
                    self.state = self.body(passes, dropped, seen, &mut input);
                }
            }
        }
    }

    fn after_head(&mut self, head: Vec<u8>) -> State {
        // The answer to a version that RabbitMQ does not speak is no frame.
        if head.first() == Some(&b'A') {
            self.out.extend(head);
            return State::Through;
        }
        let [kind, c1, c2, s1, s2, s3, s4] = *head.as_slice() else { return State::Head(head) };
        let channel = u16::from_be_bytes([c1, c2]);
        let size = usize::try_from(u32::from_be_bytes([s1, s2, s3, s4])).unwrap_or(usize::MAX);
        if kind == BODY {
            return self.begin_body(channel, size);
        }
        if size > GATHERED_BYTES_MAX {
            self.out.extend(head);
            return State::Through;
        }
        State::Gathered { kind, channel, size, bytes: Vec::with_capacity(size + 1) }
    }

    fn begin_body(&mut self, channel: u16, size: usize) -> State {
        let left = self.passes.get_mut(&channel);
        let passes = left.as_ref().map_or(size, |left| size.min(**left));
        if let Some(left) = left {
            *left -= passes;
        }
        let seen = passes > 0;
        if seen {
            self.head(BODY, channel, passes);
        }
        State::Body { passes, dropped: size - passes, seen }
    }

    fn body(
        &mut self,
        mut passes: usize,
        mut dropped: usize,
        seen: bool,
        input: &mut &[u8],
    ) -> State {
        let some = split(input, passes);
        self.out.extend_from_slice(some);
        passes -= some.len();
        dropped -= split(input, dropped).len();
        if passes > 0 || dropped > 0 || split(input, 1).is_empty() {
            return State::Body { passes, dropped, seen };
        }
        if seen {
            self.out.push(END);
        }
        State::Head(Vec::new())
    }

    fn gathered(&mut self, kind: u8, channel: u16, mut payload: Vec<u8>) {
        payload.pop();
        match kind {
            METHOD => method::screen(&mut payload),
            HEADER => payload = self.header(channel, payload),
            _ => (),
        }
        self.head(kind, channel, payload.len());
        self.out.extend(payload);
        self.out.push(END);
    }

    /// Screens a content header, and cuts the body that follows where it must.
    fn header(&mut self, channel: u16, payload: Vec<u8>) -> Vec<u8> {
        let Some(content) = header::Content::read(&payload) else { return payload };
        let fits = content.body_bytes <= BODY_BYTES_MAX as u64;
        if fits || self.room.takes(content.body_bytes) {
            self.passes.remove(&channel);
            return content.screened(content.body_bytes);
        }
        tracing::warn!(bytes = content.body_bytes, "a message is too large to be read whole");
        self.passes.insert(channel, CUT_BYTES);
        content.screened(CUT_BYTES as u64)
    }

    fn head(&mut self, kind: u8, channel: u16, size: usize) {
        self.out.push(kind);
        self.out.extend(channel.to_be_bytes());
        self.out.extend(u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes());
    }
}

/// Moves bytes until there are so many.
fn fill(bytes: &mut Vec<u8>, wanted: usize, input: &mut &[u8]) {
    let some = split(input, wanted.saturating_sub(bytes.len()));
    bytes.extend_from_slice(some);
}

/// Takes at most so many bytes.
fn split<'a>(input: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    taken
}

#[cfg(test)]
mod tests;
