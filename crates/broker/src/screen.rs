//! What RabbitMQ sends, before lapin reads it.
//!
//! lapin gives a whole connection up when one message has a property that it cannot
//! hold: a text that is not UTF-8, a type of field that it does not know, headers
//! larger than a frame. It overflows its stack over headers that are nested deeply,
//! and it gathers a body of any size. The screen makes each message one that lapin
//! reads:
//! - A text that is not UTF-8 is made one, byte by byte.
//! - Headers that cannot be read, are nested deeply, or do not fit, are left out, and
//!   the message says which in [`DROPPED`].
//! - Of a body that is larger than a consumer reads, [`CUT_BYTES`] remain, so that a
//!   connection's memory does not depend on what others publish.
//!
//! It changes no message that lapin reads as it is. A process that dies here has
//! settled nothing.

mod frames;
mod header;
mod method;
mod reactor;
mod table;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use onboard_contract::event::BODY_BYTES_MAX;

use self::frames::Frames;

pub(crate) use reactor::connect;

/// The header that names the headers that were left out.
pub(crate) const DROPPED: &str = "x-onboard-dropped";
/// What remains of a body that is cut. No body of this length is an event.
pub(crate) const CUT_BYTES: usize = BODY_BYTES_MAX + 1;
/// A larger body is always cut.
const WHOLE_BYTES_MAX: u64 = 1024 * 1024;
/// Bodies above a consumer's limit that are in memory whole at the same time.
const WHOLE_MAX: usize = 8;
const READ_BYTES: usize = 16 * 1024;

/// How many bodies above the limit a connection may still hold whole. A whole one can
/// be published among the dead letters with its reason; a cut one cannot.
#[derive(Debug, Clone, Default)]
pub(crate) struct Room(Arc<AtomicUsize>);

impl Room {
    /// For a connection that consumes.
    pub(crate) fn for_consumer() -> Self {
        Self(Arc::new(AtomicUsize::new(WHOLE_MAX)))
    }

    /// Whether a body of this size is passed whole.
    fn takes(&self, bytes: u64) -> bool {
        let less = |left: usize| left.checked_sub(1);
        let whole = bytes <= WHOLE_BYTES_MAX;
        whole && self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    /// A body of this length is gone.
    pub(crate) fn left(&self, bytes: usize) {
        if bytes > CUT_BYTES {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A stream whose incoming side is screened.
#[derive(Debug)]
pub(crate) struct Screened<S> {
    inner: S,
    frames: Frames,
    read: Box<[u8]>,
}

impl<S> Screened<S> {
    fn new(inner: S, room: Room) -> Self {
        Self { inner, frames: Frames::new(room), read: vec![0; READ_BYTES].into() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Screened<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Self { inner, frames, read } = self.get_mut();
        loop {
            let taken = frames.take(into);
            if taken > 0 || into.is_empty() {
                return Poll::Ready(Ok(taken));
            }
            match ready!(Pin::new(&mut *inner).poll_read(context, read))? {
                0 => return Poll::Ready(Ok(0)),
                bytes => frames.feed(read.get(..bytes).unwrap_or_default()),
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Screened<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_close(context)
    }
}

/// Takes so many bytes off the front.
fn take<'a>(input: &mut &'a [u8], bytes: usize) -> Option<&'a [u8]> {
    let (taken, rest) = input.split_at_checked(bytes)?;
    *input = rest;
    Some(taken)
}

/// Takes a text that its length stands before, without the length.
fn take_short<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let [bytes] = *take(input, 1)? else { return None };
    take(input, bytes.into())
}

/// The same with a length of four bytes.
fn take_long<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let bytes = u32::from_be_bytes(take(input, 4)?.try_into().ok()?);
    take(input, usize::try_from(bytes).ok()?)
}
