//! One client's connection, with the limits that the HTTP library does not have.
//!
//! actix goes on reading while answers wait for a client that does not take them. Once actix has read 128 KiB ahead, it
//! looks for room again and again, which keeps a core busy for as long as the client likes. actix also waits without a
//! limit for the rest of a request's head, except for the connection's first request.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use crate::metric;

/// How long a client may take to receive all the answers that wait for it, and how long a request may take from its
/// first byte to its answer. This limit is longer than [`HEAD_WITHIN`](crate::server) and
/// [`ANSWER_WITHIN`](crate::ANSWER_WITHIN) together, because requests that reach those two limits still get answers.
const WITHIN: Duration = Duration::from_secs(10);

/// How many bytes a connection reads at once. As many requests as fit into these bytes may wait in memory for their
/// turn.
const PIECE: usize = 4 * 1024;

/// A connection that stops reading while ingress stores a push, and when the client does not take its answers. The
/// connection ends when a request, or the client's taking of an answer, lasts longer than [`WITHIN`].
pub(crate) struct Connection {
    stream: TcpStream,
    reading: Reading,
    awaits: Option<Awaited>,
    limit: Pin<Box<Sleep>>,
    /// How many bytes are left of the piece that the connection is reading.
    left: usize,
}

/// The work that the client has begun and not finished.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// A request: the client has not sent all of it, or has not got its answer.
    Request,
    /// The client is taking its answers.
    Taking,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let limit = Box::pin(sleep(WITHIN));
        Self { stream, reading: Reading::default(), awaits: None, limit, left: PIECE }
    }

    /// The handle with which request handlers pause reading on this connection.
    pub(crate) fn reading(&self) -> Reading {
        self.reading.clone()
    }

    fn awaits(&mut self, what: Awaited) {
        self.awaits = Some(what);
        self.limit.as_mut().reset(Instant::now() + WITHIN);
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.awaits == Some(Awaited::Taking) {
            // Report the end of the input, as if the client had no more to say. The client still gets the answers to
            // its earlier requests.
            return Poll::Ready(Ok(()));
        }
        if this.reading.is_paused(context) {
            return Poll::Pending;
        }
        if this.left == 0 {
            this.left = PIECE;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let size = this.left.min(buffer.remaining());
        let mut piece = ReadBuf::new(buffer.initialize_unfilled_to(size));
        match Pin::new(&mut this.stream).poll_read(context, &mut piece) {
            Poll::Ready(Ok(())) => {
                let count = piece.filled().len();
                buffer.advance(count);
                this.left -= count;
                if count > 0 && this.awaits.is_none() {
                    this.awaits(Awaited::Request);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending if this.awaits.is_some() => {
                ready!(this.limit.as_mut().poll(context));
                metric::connection_ended("slow_request");
                Poll::Ready(Ok(()))
            }
            other => other,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        if written.is_ready() {
            if this.awaits == Some(Awaited::Request) {
                this.awaits = None;
            }
            return written;
        }
        if this.awaits != Some(Awaited::Taking) {
            this.awaits(Awaited::Taking);
        }
        ready!(this.limit.as_mut().poll(context));
        metric::connection_ended("slow_reader");
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not take its answers")))
    }

    /// actix calls this function when everything has been written.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.awaits == Some(Awaited::Taking) {
            this.awaits = None;
        }
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// Whether a connection reads on. The connection and the handlers of its requests share this value, all on one thread.
#[derive(Clone, Default)]
pub(crate) struct Reading(Rc<Pause>);

/// Whether reading is paused, and the task to wake when reading resumes.
#[derive(Default)]
struct Pause {
    paused: Cell<bool>,
    reader: RefCell<Option<Waker>>,
}

impl Reading {
    /// Stops reading until the returned value is dropped.
    pub(crate) fn pause(&self) -> PausedReading {
        self.0.paused.set(true);
        PausedReading(self.clone())
    }

    fn is_paused(&self, context: &Context<'_>) -> bool {
        if self.0.paused.get() {
            self.0.reader.replace(Some(context.waker().clone()));
        }
        self.0.paused.get()
    }
}

/// See [`Reading::pause`].
pub(crate) struct PausedReading(Reading);

impl Drop for PausedReading {
    fn drop(&mut self) {
        let Reading(pause) = &self.0;
        pause.paused.set(false);
        if let Some(reader) = pause.reader.take() {
            reader.wake();
        }
    }
}
