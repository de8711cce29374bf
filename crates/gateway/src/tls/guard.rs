//! A stream whose client may speak TLS, or not, and may not be the first to speak.
//!
//! If what it says first is TLS, it is held until it is known whom it is for. If it is HTTP, each of its requests says
//! whom it is for, and somebody else is to read them. Anything else passes.

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

/// Why reading failed: the client speaks HTTP.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a request of HTTP")]
struct IsHttp;

/// The longest first line of a request that is waited for, in bytes.
const LONGEST_LINE: usize = 8 << 10;

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
    /// For [`Guard::into_http`].
    Http(Replayed<S>),
    /// In between, and after a refusal.
    Closed,
}

impl<S> Guard<S> {
    pub(crate) fn new(stream: S, host: Host, may_encrypt: bool) -> Self {
        Self { host, may_encrypt, state: State::Held { stream, first: Vec::new() } }
    }

    /// All that the client says, if it has turned out to speak HTTP.
    pub(crate) fn into_http(self) -> Option<Replayed<S>> {
        match self.state {
            State::Http(stream) => Some(stream),
            _ => None,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::Open(stream) => return Pin::new(stream).poll_read(cx, buffer),
                State::Http(_) | State::Closed => return Poll::Ready(Ok(())),
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
                        Parsed::Other if !has_ended && may_become_request(first) => continue,
                        Parsed::Other if is_request(first) => {
                            this.leave_to_http();
                            return Poll::Ready(Err(io::Error::other(IsHttp)));
                        }
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
    fn leave_to_http(&mut self) {
        if let State::Held { stream, first } = std::mem::replace(&mut self.state, State::Closed) {
            self.state = State::Http(Replayed::new(first, stream));
        }
    }

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
            State::Http(_) | State::Closed => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Held { stream, .. } => Pin::new(stream).poll_flush(cx),
            State::Open(stream) => Pin::new(stream).poll_flush(cx),
            State::Http(_) | State::Closed => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Held { stream, .. } => Pin::new(stream).poll_shutdown(cx),
            State::Open(stream) => Pin::new(stream).poll_shutdown(cx),
            State::Http(_) | State::Closed => Poll::Ready(Ok(())),
        }
    }
}

/// Whether what was said so far may be the beginning of the first line of a request. Servers pass over empty lines.
fn may_become_request(first: &[u8]) -> bool {
    let line = without_empty_lines(first);
    first.len() < LONGEST_LINE && !line.iter().any(|byte| is_no_text(*byte)) && has_method(line)
}

/// Whether it begins with a request, as even careless servers would read it.
fn is_request(first: &[u8]) -> bool {
    let start = without_empty_lines(first);
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let upper = line.to_ascii_uppercase();
    let has_version = upper.windows(6).any(|window| matches!(window, [b' ' | b'\t', b'H', b'T', b'T', b'P', b'/']));
    // Too long to be waited for: whoever reads requests is to refuse it.
    let is_long = first.len() >= LONGEST_LINE && line.len() == start.len();
    !line.is_empty() && has_method(line) && (has_version || is_long)
}

fn without_empty_lines(first: &[u8]) -> &[u8] {
    let empty = first.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    first.get(empty..).unwrap_or_default()
}

/// Line ends included. No server takes any of these for a part of a request's first line.
fn is_no_text(byte: u8) -> bool {
    byte < b' ' && !matches!(byte, b'\t' | b'\r')
}

/// Whether all before the first space, or all there is, may be a method.
fn has_method(line: &[u8]) -> bool {
    let is_of_method = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    line.iter().take_while(|byte| !matches!(byte, b' ' | b'\t')).all(is_of_method)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_from_what_other_protocols_begin_with() {
        let long = format!("GET /{}", "a".repeat(LONGEST_LINE));
        for request in [
            "GET / HTTP/1.1\r\nHost: x\r\n",
            "\r\n\nget / http/1.0\n",
            "GET\t/\tHTTP/1.1\r\n",
            "PRI * HTTP/2.0\r\n\r\n",
            "ODD-METHOD * HTTP/1.1\r\n",
            &long,
        ] {
            assert!(is_request(request.as_bytes()), "{request}");
            let ends = (1..request.len().min(300)).filter(|end| !request[..*end].trim_start().contains('\n'));
            for end in ends {
                assert!(may_become_request(&request.as_bytes()[..end]), "{:?}", &request[..end]);
            }
        }
        for other in [
            "SSH-2.0-OpenSSH_9.2\r\n",
            "EHLO client\r\n",
            "*1\r\n$4\r\nPING\r\n",
            "\0\0\0\x08",
            "GET key\r\n",
            "0032git-upload-pack /a\0host=b\0",
        ] {
            let first = other.as_bytes();
            assert!(!is_request(first) && !may_become_request(first), "{other:?}");
        }
    }
}
