//! A stream whose client may speak TLS, or not, and may not be the first to speak.
//!
//! If what it says first is TLS, it is held until it is known whom it is for. Anything else passes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{LONGEST, Parsed, agrees, parse};
use crate::Host;
use crate::refusal::Code;
use crate::stream::Replayed;

/// Why reading failed: what the client said first is not let through.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("refused: {}", .0.as_str())]
pub(crate) struct Denied(pub(crate) Code);

pub(crate) struct Guard<S> {
    host: Host,
    may_encrypt: bool,
    state: State<S>,
}

enum State<S> {
    Held {
        stream: S,
        first: Vec<u8>,
    },
    Open(Replayed<S>),
    /// In between, and after a refusal.
    Closed,
}

impl<S> Guard<S> {
    pub(crate) fn new(stream: S, host: Host, may_encrypt: bool) -> Self {
        Self { host, may_encrypt, state: State::Held { stream, first: Vec::new() } }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::Open(stream) => return Pin::new(stream).poll_read(cx, buffer),
                State::Closed => return Poll::Ready(Ok(())),
                State::Held { stream, first } => {
                    let mut chunk = [0; 2_048];
                    let mut read = ReadBuf::new(&mut chunk);
                    ready!(Pin::new(stream).poll_read(cx, &mut read))?;
                    first.extend_from_slice(read.filled());
                    let has_ended = read.filled().is_empty();
                    let verdict = match parse(first) {
                        Parsed::Partial if first.len() >= LONGEST => Err(Code::NotTls),
                        Parsed::Partial if !has_ended => continue,
                        // Some servers may understand it, and nobody knows how.
                        Parsed::Malformed => Err(Code::NotTls),
                        Parsed::Partial | Parsed::Other => Ok(()),
                        Parsed::Hello(hello) => agrees(&hello, &this.host, this.may_encrypt),
                    };
                    this.decide(verdict)?;
                }
            }
        }
    }
}

impl<S> Guard<S> {
    fn decide(&mut self, verdict: Result<(), Code>) -> io::Result<()> {
        if let State::Held { stream, first } = std::mem::replace(&mut self.state, State::Closed) {
            verdict.map_err(|code| io::Error::other(Denied(code)))?;
            self.state = State::Open(Replayed::new(first, stream));
        }
        Ok(())
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.state {
            State::Held { stream, .. } => Pin::new(stream).poll_write(cx, bytes),
            State::Open(stream) => Pin::new(stream).poll_write(cx, bytes),
            State::Closed => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Held { stream, .. } => Pin::new(stream).poll_flush(cx),
            State::Open(stream) => Pin::new(stream).poll_flush(cx),
            State::Closed => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Held { stream, .. } => Pin::new(stream).poll_shutdown(cx),
            State::Open(stream) => Pin::new(stream).poll_shutdown(cx),
            State::Closed => Poll::Ready(Ok(())),
        }
    }
}
