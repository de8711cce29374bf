//! The stream of an `exec` without a terminal: the output comes in frames that say which of two streams they are of.
//!
//! A frame is eight bytes, `[stream, 0, 0, 0, length as a big-endian u32]`, and that many bytes. What is sent goes out
//! as it is.

use std::{
    io::{self, ErrorKind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use hand_protocol::MAX_FRAME;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, BufReader, ReadBuf};

const HEADER: usize = 8;

/// Bytes of a piece of the error stream that are logged.
const WORDS: usize = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Output,
    Errors,
}

/// The output stream alone, and a way to write. The error stream is logged.
pub(crate) struct Demultiplexed<S> {
    inner: BufReader<S>,
    header: Vec<u8>,
    kind: Kind,
    /// Bytes of the frame that have not been read yet.
    left: usize,
}

impl<S: AsyncRead> Demultiplexed<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner: BufReader::new(inner), header: Vec::with_capacity(HEADER), kind: Kind::Output, left: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Demultiplexed<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { inner, header, kind, left } = self.get_mut();
        let mut inner = Pin::new(inner);
        loop {
            if into.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let come = ready!(inner.as_mut().poll_fill_buf(context))?;
            if come.is_empty() {
                let is_whole = *left == 0 && header.is_empty();
                return Poll::Ready(if is_whole { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) });
            }
            if *left == 0 {
                let taken = come.len().min(HEADER - header.len());
                header.extend(come.iter().take(taken));
                inner.as_mut().consume(taken);
                if header.len() == HEADER {
                    (*kind, *left) = parse(header)?;
                    header.clear();
                }
                continue;
            }
            let room = if *kind == Kind::Output { into.remaining() } else { usize::MAX };
            let taken = come.len().min(*left).min(room);
            let piece = come.get(..taken).unwrap_or_default();
            let is_output = *kind == Kind::Output;
            if is_output {
                into.put_slice(piece);
            } else {
                let words = String::from_utf8_lossy(piece.get(..WORDS).unwrap_or(piece)).into_owned();
                tracing::debug!(words, "said in a sandbox's container, on the way to its daemon");
            }
            inner.as_mut().consume(taken);
            *left -= taken;
            if is_output {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

fn parse(header: &[u8]) -> io::Result<(Kind, usize)> {
    let refused = |why: String| io::Error::new(ErrorKind::InvalidData, why);
    let &[stream, _, _, _, a, b, c, d] = header else { return Err(refused("a header of another length".into())) };
    let kind = match stream {
        // 0 is written where the input is shown as output.
        0 | 1 => Kind::Output,
        2 => Kind::Errors,
        other => return Err(refused(format!("a frame of a stream {other}, of which there is none"))),
    };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    // The engine makes frames of what it reads at once, which is some ten thousand bytes. This is something else.
    if length > MAX_FRAME {
        return Err(refused(format!("a frame of {length} bytes")));
    }
    Ok((kind, length))
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Demultiplexed<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    fn frame(stream: u8, piece: &[u8]) -> Vec<u8> {
        let length = u32::try_from(piece.len()).unwrap().to_be_bytes();
        [&[stream, 0, 0, 0], &length[..], piece].concat()
    }

    async fn output(sent: &[u8]) -> Result<Vec<u8>, ErrorKind> {
        let mut output = Vec::new();
        Demultiplexed::new(sent).read_to_end(&mut output).await.map_err(|error| error.kind())?;
        Ok(output)
    }

    #[tokio::test]
    async fn the_output_is_put_together_and_errors_are_left_out() {
        let sent = [frame(1, b"one "), frame(2, b"complaint"), frame(1, b""), frame(1, b"two")].concat();
        assert_eq!(output(&sent).await.unwrap(), b"one two");
        assert_eq!(output(b"").await.unwrap(), b"");
    }

    #[tokio::test]
    async fn frames_may_come_in_pieces_of_any_size() {
        let sent = [frame(1, b"one "), frame(2, b"complaint"), frame(1, b"two")].concat();
        let (mut theirs, ours) = tokio::io::duplex(1);
        let sending = async move {
            tokio::io::AsyncWriteExt::write_all(&mut theirs, &sent).await.unwrap();
        };
        let mut output = Vec::new();
        let mut stream = Demultiplexed::new(ours);
        let (read, ()) = tokio::join!(stream.read_to_end(&mut output), sending);
        assert_eq!((read.unwrap(), output.as_slice()), (7, &b"one two"[..]));
    }

    #[tokio::test]
    async fn an_end_within_a_frame_is_an_error_and_no_end() {
        let sent = frame(1, b"one");
        for cut in 1..sent.len() {
            assert_eq!(output(&sent[..cut]).await.unwrap_err(), ErrorKind::UnexpectedEof, "{cut}");
        }
    }

    #[tokio::test]
    async fn what_is_no_frame_of_the_engines_is_refused_before_it_is_read() {
        assert_eq!(output(&[3, 0, 0, 0, 0, 0, 0, 1, 7]).await.unwrap_err(), ErrorKind::InvalidData);
        assert_eq!(output(&[1, 0, 0, 0, 255, 255, 255, 255, 7]).await.unwrap_err(), ErrorKind::InvalidData);
    }
}
