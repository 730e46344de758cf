//! A connection whose client has to read what it is sent, and whose buffer forgets what the
//! client has sent.
//!
//! hyper waits for ever for a client that does not read. Here the clock runs
//! from the first byte the kernel does not take until all that was to be sent
//! is taken; reading a byte now and then does not stop it.
//!
//! hyper keeps the buffer of a request that it has passed on for the next one, and asks for that
//! as soon as the answer is written. The room that it then offers is wiped before it is read
//! into: it holds the last request, with its password. A connection that has sent nothing
//! has nothing to wipe, and costs no memory for it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A stream whose writes end in time, or not at all.
#[derive(Debug)]
pub(crate) struct Impatient<S> {
    stream: S,
    patience: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    /// Whether the client has sent anything.
    has_sent: bool,
}

impl<S> Impatient<S> {
    pub(crate) const fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, waiting: None, has_sent: false }
    }

    /// Starts the clock at the first wait and looks at it at every later one.
    fn bear<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            return written;
        }
        let patience = self.patience;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(patience)));
        match waiting.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.has_sent {
            buffer.initialize_unfilled();
        }
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.has_sent |= !buffer.filled().is_empty();
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.bear(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.bear(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper asks for it when it has nothing more to write.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            self.waiting = None;
        }
        self.bear(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.bear(context, shut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::mem::MaybeUninit;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_is_given_up() {
        let (ours, _theirs) = duplex(64);
        let mut stream = Impatient::new(ours, PATIENCE);
        let error = stream.write_all(&[0; 1000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_a_byte_now_and_then_is_given_up_too() {
        let (ours, mut theirs) = duplex(64);
        let mut stream = Impatient::new(ours, PATIENCE);
        let trickle = async {
            loop {
                sleep(Duration::from_secs(5)).await;
                theirs.read_u8().await.unwrap();
            }
        };
        let written = tokio::select! {
            written = stream.write_all(&[0; 1000]) => written,
            () = trickle => unreachable!("it reads for ever"),
        };
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn every_answer_that_was_read_starts_the_clock_anew() {
        let (ours, mut theirs) = duplex(64);
        let mut stream = Impatient::new(ours, PATIENCE);
        for _ in 0..10 {
            let read = async {
                sleep(Duration::from_secs(20)).await;
                theirs.read_exact(&mut [0; 1000]).await.map(drop)
            };
            let write = async {
                stream.write_all(&[0; 1000]).await?;
                stream.flush().await
            };
            tokio::try_join!(write, read).unwrap();
        }
    }

    /// As hyper offers it: room that counts as not written yet, whatever it holds.
    #[tokio::test]
    async fn the_room_for_the_next_request_is_wiped_before_it_is_read_into() {
        let (ours, mut theirs) = duplex(64);
        let mut stream = Impatient::new(ours, PATIENCE);
        let mut room = [MaybeUninit::new(b'p'); 32];
        let mut read = async |sent: &[u8]| {
            theirs.write_all(sent).await.unwrap();
            let mut buffer = ReadBuf::uninit(&mut room);
            poll_fn(|context| Pin::new(&mut stream).poll_read(context, &mut buffer)).await.unwrap();
            let held = buffer.initialized().to_vec();
            (buffer.filled().to_vec(), held)
        };
        assert_eq!(read(b"a password").await.0, b"a password");
        let (filled, held) = read(b"more").await;
        assert_eq!(filled, b"more");
        assert_eq!(held, [b"more".as_slice(), &[0; 28]].concat(), "no password, no p");
    }
}
