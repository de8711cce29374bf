//! HTTP/1.1 with as little work as it takes: heads, bodies of known length, and chunks. Shared by the load generator
//! and the model stub; both talk only to a server that they know.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const READ: usize = 16 * 1024;

/// One connection and what was read from it but not used yet.
pub(crate) struct Pipe {
    socket: TcpStream,
    input: BytesMut,
    /// How long the other side may say nothing while something is awaited from it.
    patience: Duration,
}

/// The head of a request or an answer.
pub(crate) struct Head {
    /// `POST /v1/messages HTTP/1.1` or `HTTP/1.1 200 OK`.
    pub(crate) first: String,
    pub(crate) length: Length,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    Known(usize),
    Chunked,
}

impl Pipe {
    pub(crate) fn new(socket: TcpStream, patience: Duration) -> Result<Self> {
        socket.set_nodelay(true)?;
        Ok(Self { socket, input: BytesMut::new(), patience })
    }

    /// The connection alone, for one that nothing more is read from.
    pub(crate) fn into_socket(self) -> TcpStream {
        self.socket
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.socket.write_all(bytes).await.context("the connection broke while writing")
    }

    pub(crate) async fn head(&mut self) -> Result<Head> {
        loop {
            if let Some(end) = find(&self.input, b"\r\n\r\n") {
                let head = Head::parse(&self.input[..end])?;
                self.input.advance(end + 4);
                return Ok(head);
            }
            self.fill().await?;
        }
    }

    pub(crate) async fn body(&mut self, length: Length) -> Result<Vec<u8>> {
        match length {
            Length::Known(size) => {
                while self.input.len() < size {
                    self.fill().await?;
                }
                Ok(self.input.split_to(size).to_vec())
            }
            Length::Chunked => {
                let mut body = Vec::new();
                let mut chunks = Chunks::default();
                while !chunks.take(&mut self.input, &mut body)? {
                    self.fill().await?;
                }
                Ok(body)
            }
        }
    }

    /// Adds what comes next in a chunked body to `output`. Returns whether the body ended with it.
    pub(crate) async fn more(&mut self, chunks: &mut Chunks, output: &mut Vec<u8>) -> Result<bool> {
        if self.input.is_empty() {
            self.fill().await?;
        }
        let (held, before) = (self.input.len(), output.len());
        let ended = chunks.take(&mut self.input, output)?;
        if !ended && output.len() == before && self.input.len() == held {
            // A chunk's head that was cut in two: only more input helps.
            self.fill().await?;
        }
        Ok(ended)
    }

    async fn fill(&mut self) -> Result<()> {
        self.input.reserve(READ);
        let reading = timeout(self.patience, self.socket.read_buf(&mut self.input));
        let read = reading.await.with_context(|| format!("nothing came for {:?}", self.patience))??;
        ensure!(read > 0, "the other side closed the connection");
        Ok(())
    }
}

impl Head {
    fn parse(bytes: &[u8]) -> Result<Self> {
        let mut lines = std::str::from_utf8(bytes)?.split("\r\n");
        let first = lines.next().unwrap_or_default().to_owned();
        let mut length = Length::Known(0);
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                length = Length::Known(value.trim().parse().context("content-length is not a number")?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") && value.trim().eq_ignore_ascii_case("chunked") {
                length = Length::Chunked;
            }
        }
        Ok(Self { first, length })
    }

    /// Of an answer: whether its status is one of the 200s.
    pub(crate) fn is_success(&self) -> bool {
        self.first.split(' ').nth(1).is_some_and(|status| status.starts_with('2'))
    }
}

/// Where in a chunked body the reading stands.
#[derive(Default)]
pub(crate) struct Chunks {
    /// Bytes of the current chunk that have not come yet.
    left: usize,
    /// Whether the line end that follows a chunk's bytes is still to come.
    line_end: bool,
}

impl Chunks {
    /// Moves the chunks' bytes from `input` to `output`, as far as they have come. Returns whether the body ended.
    fn take(&mut self, input: &mut BytesMut, output: &mut Vec<u8>) -> Result<bool> {
        loop {
            if self.left > 0 {
                let size = self.left.min(input.len());
                output.extend_from_slice(&input[..size]);
                input.advance(size);
                self.left -= size;
                if self.left > 0 {
                    return Ok(false);
                }
                self.line_end = true;
            }
            if self.line_end {
                if input.len() < 2 {
                    return Ok(false);
                }
                input.advance(2);
                self.line_end = false;
            }
            let Some(end) = find(input, b"\r\n") else { return Ok(false) };
            let line = std::str::from_utf8(&input[..end])?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(digits, 16).with_context(|| format!("`{line}` is no chunk size"))?;
            if size > 0 {
                input.advance(end + 2);
                self.left = size;
            } else if input.len() < end + 4 {
                return Ok(false);
            } else {
                input.advance(end + 4);
                return Ok(true);
            }
        }
    }
}

pub(crate) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined_however_they_are_cut() {
        let whole = b"5\r\nhello\r\n7;x=y\r\n, there\r\n0\r\n\r\nnext";
        for cut in 0..whole.len() {
            let (mut chunks, mut output) = (Chunks::default(), Vec::new());
            let mut input = BytesMut::from(&whole[..cut]);
            let early = chunks.take(&mut input, &mut output).unwrap();
            input.extend_from_slice(&whole[cut..]);
            assert!(early || chunks.take(&mut input, &mut output).unwrap(), "cut at {cut}");
            assert_eq!(output, b"hello, there", "cut at {cut}");
            assert_eq!(&input[..], b"next", "cut at {cut}");
        }
    }

    #[test]
    fn a_head_tells_how_its_body_ends() {
        let head = Head::parse(b"HTTP/1.1 200 OK\r\nContent-Length: 12").unwrap();
        assert!(head.is_success());
        assert_eq!(head.length, Length::Known(12));
        assert_eq!(Head::parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding:chunked").unwrap().length, Length::Chunked);
        assert!(!Head::parse(b"HTTP/1.1 404 Not Found").unwrap().is_success());
    }
}
