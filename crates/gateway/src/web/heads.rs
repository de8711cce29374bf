//! How each request on a connection says where its body ends, as it was sent.
//!
//! The server's parser settles contradictions and forgets them. What contradicts itself is refused here, for the next
//! server may settle it otherwise; so the heads are looked at on their way in, with the same parser.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{MOST_HEADERS, MOST_OF_HEAD};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Framing {
    /// Its length is told twice, or in two ways.
    pub(super) is_ambiguous: bool,
    pub(super) has_body: bool,
    /// Where it ends is not known here, so nothing after it is looked at, nor to be answered.
    pub(super) is_last: bool,
}

/// Framings in the order of their requests, from the stream to whoever answers them.
#[derive(Clone, Default)]
pub(super) struct Heads(Arc<Mutex<VecDeque<Framing>>>);

impl Heads {
    /// Of the next request. None if it was not understood: then it is not to be forwarded.
    pub(super) fn next(&self) -> Option<Framing> {
        self.0.lock().pop_front()
    }
}

/// A stream that is looked at while it is read.
pub(super) struct Tapped<S> {
    stream: S,
    state: State,
    heads: Heads,
}

enum State {
    Head(Vec<u8>),
    Body(u64),
    Blind,
}

impl<S> Tapped<S> {
    pub(super) fn new(stream: S) -> (Self, Heads) {
        let heads = Heads::default();
        (Self { stream, state: State::Head(Vec::new()), heads: heads.clone() }, heads)
    }

    fn look(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Blind => return,
                State::Body(left) => {
                    let skipped = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    bytes = bytes.get(skipped..).unwrap_or_default();
                    *left -= skipped as u64;
                    if *left == 0 {
                        self.state = State::Head(Vec::new());
                    }
                }
                State::Head(head) => {
                    let before = head.len();
                    head.extend_from_slice(bytes);
                    let (framing, length, body) = match parse(head) {
                        Head::Partial if head.len() <= MOST_OF_HEAD => return,
                        Head::Partial | Head::Malformed => {
                            self.state = State::Blind;
                            return;
                        }
                        Head::Whole { framing, length, body } => (framing, length, body),
                    };
                    bytes = bytes.get(length.saturating_sub(before)..).unwrap_or_default();
                    self.state = match body {
                        _ if framing.is_last => State::Blind,
                        0 => State::Head(Vec::new()),
                        body => State::Body(body),
                    };
                    self.heads.0.lock().push_back(framing);
                }
            }
        }
    }
}

enum Head {
    Partial,
    Malformed,
    Whole { framing: Framing, length: usize, body: u64 },
}

fn parse(bytes: &[u8]) -> Head {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Head::Partial,
        Err(_) => return Head::Malformed,
    };
    let (mut lengths, mut encodings) = (Vec::new(), 0);
    for header in request.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            lengths.push(std::str::from_utf8(header.value).ok().and_then(decimal));
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            encodings += 1;
        }
    }
    let body = lengths.first().copied().flatten().unwrap_or_default();
    let is_ambiguous = lengths.len() + encodings > 1 || lengths.contains(&None);
    let has_body = encodings > 0 || body > 0;
    let is_tunnel = request.method == Some("CONNECT");
    let framing = Framing { is_ambiguous, has_body, is_last: is_ambiguous || encodings > 0 || is_tunnel };
    Head::Whole { framing, length, body }
}

/// Digits alone: the parser of numbers would take a sign as well.
fn decimal(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl<S: AsyncRead + Unpin> AsyncRead for Tapped<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        this.look(buffer.filled().get(before..).unwrap_or_default());
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tapped<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framings(chunks: &[&[u8]]) -> Vec<Framing> {
        let (mut tapped, heads) = Tapped::new(());
        chunks.iter().for_each(|chunk| tapped.look(chunk));
        std::iter::from_fn(|| heads.next()).collect()
    }

    const PLAIN: Framing = Framing { is_ambiguous: false, has_body: false, is_last: false };
    const SIZED: Framing = Framing { has_body: true, ..PLAIN };
    const CHUNKED: Framing = Framing { has_body: true, is_last: true, ..PLAIN };

    #[test]
    fn requests_on_one_connection_are_told_apart() {
        let bytes = [
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".as_slice(),
            b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nGET /".as_slice(),
            b"GET / HTTP/1.1\r\n\r\n".as_slice(),
            b"POST / HTTP/1.1\r\ntransfer-ENCODING: chunked\r\n\r\n0\r\n\r\n".as_slice(),
            b"GET / HTTP/1.1\r\n\r\n".as_slice(),
        ]
        .concat();
        let expected = [PLAIN, SIZED, PLAIN, CHUNKED];
        assert_eq!(framings(&[bytes.as_slice()]), expected);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(framings(&single), expected);
    }

    #[test]
    fn a_length_that_is_told_twice_or_in_two_ways_is_ambiguous() {
        let ambiguous = [
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
            "Content-Length: 5\r\nContent-Length: 5",
            "Content-Length: 5\r\nContent-Length: 6",
            "Content-Length: +5",
            "Content-Length: 5, 5",
            "Content-Length: 0x5",
            "Content-Length: 99999999999999999999999",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        ];
        for headers in ambiguous {
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n");
            let framings = framings(&[head.as_bytes()]);
            assert!(matches!(framings.as_slice(), [Framing { is_ambiguous: true, is_last: true, .. }]), "{headers}");
        }
    }

    #[test]
    fn what_is_not_understood_is_told_of_nobody() {
        let folded = b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n".as_slice();
        let spaced = b"GET / HTTP/1.1\r\nHost : a\r\n\r\n".as_slice();
        for bytes in [folded, spaced, b"\x16\x03\x01".as_slice()] {
            assert!(framings(&[bytes, b"GET / HTTP/1.1\r\n\r\n".as_slice()]).is_empty());
        }
        let long = vec![b'a'; MOST_OF_HEAD];
        let endless = [b"GET / HTTP/1.1\r\nA: ".as_slice(), long.as_slice(), b"\r\n\r\n".as_slice()];
        assert!(framings(&endless).is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(chunks: Vec<Vec<u8>>) {
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            framings(&chunks);
        }
    }
}
