//! The streams of an `exec`: messages on one connection, whose first byte says which stream they are of.
//!
//! One task for each carries between the connection and a pipe in memory. It is owned by the pipe's near end, and ends
//! with either.

use std::{
    io::{self, ErrorKind},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use serde::Deserialize;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, DuplexStream, ReadBuf, duplex, split},
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use crate::frame::{self, Head, Kind};

const INPUT: u8 = 0;
const OUTPUT: u8 = 1;
const ERRORS: u8 = 2;
const STATUS: u8 = 3;

/// Bytes that are carried at once.
const PIECE: usize = 64 << 10;

/// Bytes of a status, and of a frame about the connection. Both are short.
const SHORT: usize = 64 << 10;

/// Bytes of a piece of the error stream that are logged.
const WORDS: usize = 500;

/// Between two signs of life, so that nothing on the way takes a quiet connection for a dead one.
const SIGNS: Duration = Duration::from_secs(20);

/// How a command has ended: well, or why not.
pub(crate) type Ended = Result<(), String>;

/// A running command: its input and its output.
pub(crate) struct Channels {
    near: DuplexStream,
    task: JoinHandle<()>,
}

/// What the cluster says of a command's end.
#[derive(Deserialize)]
struct Status {
    status: String,
    #[serde(default)]
    message: String,
}

impl Channels {
    /// Also gives what becomes known once the command has ended; an error if that never becomes known.
    pub(crate) fn over<S>(socket: S) -> (Self, oneshot::Receiver<Ended>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (near, far) = duplex(PIECE);
        let (ended, end) = oneshot::channel();
        let task = spawn(async move {
            if let Err(error) = carry(socket, far, ended).await {
                tracing::debug!(%error, "a connection to a sandbox's pod has ended");
            }
        });
        (Self { near, task }, end)
    }
}

impl Drop for Channels {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[expect(clippy::disallowed_methods, reason = "named here: the task of one connection, owned and aborted by it")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}

/// Ends when either side does. The pipe's far end is dropped then, and the near one sees an end.
async fn carry<S>(socket: S, far: DuplexStream, ended: oneshot::Sender<Ended>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (from, to) = split(socket);
    let (input, output) = split(far);
    let (pings, answers) = mpsc::channel(1);
    tokio::select! {
        heard = hear(from, output, pings, ended) => heard,
        spoken = speak(to, input, answers) => spoken,
    }
}

async fn speak(
    mut to: impl AsyncWrite + Unpin,
    mut input: impl AsyncRead + Unpin,
    mut answers: mpsc::Receiver<Vec<u8>>,
) -> io::Result<()> {
    let mut signs = interval(SIGNS);
    signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut piece = vec![0; PIECE];
    loop {
        let next = tokio::select! {
            read = input.read(&mut piece) => match read? {
                0 => break,
                read => frame::message(INPUT, piece.get(..read).unwrap_or_default())?,
            },
            Some(ping) = answers.recv() => frame::pong(&ping)?,
            _ = signs.tick() => frame::ping()?,
        };
        to.write_all(&next).await?;
        to.flush().await?;
    }
    to.write_all(&frame::close()?).await?;
    to.shutdown().await
}

async fn hear(
    from: impl AsyncRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
    pings: mpsc::Sender<Vec<u8>>,
    ended: oneshot::Sender<Ended>,
) -> io::Result<()> {
    let refused = |why: &str| io::Error::new(ErrorKind::InvalidData, why.to_owned());
    let mut from = BufReader::new(from);
    // The channel of a message whose last part has not come.
    let mut open: Option<u8> = None;
    let mut status = Vec::new();
    while let Some(Head { kind, is_final, mut length }) = frame::head(&mut from).await? {
        let channel = match kind {
            Kind::Close => return Ok(()),
            Kind::Ping => {
                let ping = short(&mut from, length).await?;
                // One that waits is answered; more of them need no answers of their own.
                let _ = pings.try_send(ping);
                continue;
            }
            Kind::Pong => {
                short(&mut from, length).await?;
                continue;
            }
            Kind::Binary if open.is_some() => return Err(refused("a message within a message")),
            Kind::Binary if length == 0 => return Err(refused("a message of no channel")),
            Kind::Binary => {
                length -= 1;
                from.read_u8().await?
            }
            Kind::Continuation => open.ok_or_else(|| refused("the rest of no message"))?,
        };
        open = (!is_final).then_some(channel);
        match channel {
            OUTPUT => pass_on(&mut from, length, &mut output).await?,
            ERRORS => {
                let words = log(&mut from, length).await?;
                if !words.is_empty() {
                    tracing::debug!(words, "said in a sandbox's pod, on the way to its daemon");
                }
            }
            STATUS => {
                status.extend(short(&mut from, length).await?);
                if status.len() > SHORT {
                    return Err(refused("a status without an end"));
                }
                // Each channel begins with a message of nothing.
                if is_final && !status.is_empty() {
                    let _ = ended.send(judge(&status));
                    return output.shutdown().await;
                }
            }
            // That another channel is closed, and what later versions may add.
            _ => pass_on(&mut from, length, &mut tokio::io::sink()).await?,
        }
    }
    Ok(())
}

async fn pass_on(
    from: &mut (impl AsyncRead + Unpin),
    length: usize,
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let passed = tokio::io::copy(&mut from.take(length as u64), to).await?;
    if passed < length as u64 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

/// The beginning of what is said, for the log.
async fn log(from: &mut (impl AsyncRead + Unpin), length: usize) -> io::Result<String> {
    let words = short(from, length.min(WORDS)).await?;
    pass_on(from, length - words.len(), &mut tokio::io::sink()).await?;
    Ok(String::from_utf8_lossy(&words).into_owned())
}

async fn short(from: &mut (impl AsyncRead + Unpin), length: usize) -> io::Result<Vec<u8>> {
    if length > SHORT {
        return Err(io::Error::new(ErrorKind::InvalidData, "a short message that is long"));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).await?;
    Ok(bytes)
}

fn judge(status: &[u8]) -> Ended {
    match serde_json::from_slice(status) {
        Ok(Status { status, .. }) if status == "Success" => Ok(()),
        Ok(Status { message, .. }) => Err(message),
        Err(error) => Err(format!("its status cannot be read: {error}")),
    }
}

impl AsyncRead for Channels {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().near).poll_read(context, into)
    }
}

impl AsyncWrite for Channels {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().near).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().near).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().near).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is heard of these bytes, and how the command has ended.
    async fn heard(sent: &[u8]) -> (io::Result<()>, Vec<u8>, Option<Ended>) {
        let (ended, mut end) = oneshot::channel();
        let (pings, _answers) = mpsc::channel(1);
        let mut output = Vec::new();
        let result = hear(sent, &mut output, pings, ended).await;
        (result, output, end.try_recv().ok())
    }

    fn binary(first: u8, payload: &[u8]) -> Vec<u8> {
        [&[first, u8::try_from(payload.len()).unwrap()], payload].concat()
    }

    #[tokio::test]
    async fn streams_are_told_apart_and_parts_are_put_together() {
        let status = br#"{"metadata":{},"status":"Success"}"#;
        let sent = [
            binary(0x82, &[OUTPUT]),
            binary(0x82, &[STATUS]),
            binary(0x02, b"\x01one"),
            binary(0x89, b"ping"),
            binary(0x80, b" two"),
            binary(0x82, b"\x02complaint"),
            binary(0x82, b"\xff\x01"),
            binary(0x82, b"\x01 three"),
            binary(0x82, &[&[STATUS], &status[..]].concat()),
            binary(0x82, b"\x01after the end"),
        ];
        let (result, output, ended) = heard(&sent.concat()).await;
        result.unwrap();
        assert_eq!(output, b"one two three");
        assert_eq!(ended, Some(Ok(())));
    }

    #[tokio::test]
    async fn a_failure_is_told_in_the_clusters_words() {
        let status = br#"{"status":"Failure","message":"command terminated with exit code 2"}"#;
        let (_, _, ended) = heard(&binary(0x82, &[&[STATUS], &status[..]].concat())).await;
        assert_eq!(ended, Some(Err("command terminated with exit code 2".into())));
    }

    #[tokio::test]
    async fn an_end_within_a_message_is_no_end_of_the_command() {
        let whole = binary(0x82, b"\x01one");
        for cut in 1..whole.len() {
            let (result, _, ended) = heard(&whole[..cut]).await;
            assert_eq!(result.unwrap_err().kind(), ErrorKind::UnexpectedEof, "{cut}");
            assert_eq!(ended, None);
        }
    }

    #[tokio::test]
    async fn messages_that_do_not_fit_together_are_refused() {
        for sent in [
            [binary(0x02, b"\x01one"), binary(0x82, b"\x01two")].concat(),
            binary(0x80, b"\x01rest of nothing"),
            binary(0x82, b""),
        ] {
            assert_eq!(heard(&sent).await.0.unwrap_err().kind(), ErrorKind::InvalidData);
        }
    }
}
