//! The outer half of a connection: every byte is counted, and none leaves beyond the limit.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::Asked;
use crate::audit::{Kind, Protocol, Record};
use crate::pulse::Pulse;
use crate::sandbox::Sandbox;
use crate::shared::Shared;

/// Whose bytes they are, and what to write when there are no more.
pub(super) struct End {
    pub(super) shared: Arc<Shared>,
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) connection: u64,
    pub(super) protocol: Protocol,
    pub(super) asked: Asked,
    pub(super) address: IpAddr,
}

pub(super) struct Upstream {
    stream: TcpStream,
    pulse: Pulse,
    up: u64,
    down: u64,
    end: End,
}

impl Upstream {
    pub(super) fn new(stream: TcpStream, pulse: Pulse, end: End) -> Self {
        // What the kernel refuses only makes it slower.
        let _ = stream.set_nodelay(true);
        pulse.beat();
        Self { stream, pulse, up: 0, down: 0, end }
    }
}

impl AsyncRead for Upstream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let count = buffer.filled().len().saturating_sub(before) as u64;
        if count > 0 {
            self.down += count;
            self.end.sandbox.meter.count_down(count);
            self.pulse.beat();
        }
        read
    }
}

impl AsyncWrite for Upstream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wanted = bytes.len() as u64;
        let taken = self.end.sandbox.meter.take(wanted);
        if taken == 0 && wanted > 0 {
            return Poll::Ready(Err(io::Error::other("the sandbox has sent as much as it may")));
        }
        let allowed = bytes.get(..usize::try_from(taken).unwrap_or(usize::MAX)).unwrap_or_default();
        let written = Pin::new(&mut self.stream).poll_write(cx, allowed);
        let count = match &written {
            Poll::Ready(Ok(count)) => *count as u64,
            _ => 0,
        };
        self.end.sandbox.meter.give_back(taken - count.min(taken));
        if count > 0 {
            self.up += count;
            self.pulse.beat();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let end = &self.end;
        let terms = end.sandbox.terms();
        let host = end.asked.host.to_string();
        let record = Record {
            time: end.shared.clock.now(),
            kind: Kind::End,
            sandbox: &end.sandbox.id,
            session: terms.session.as_deref(),
            connection: end.connection,
            protocol: end.protocol,
            host: Some(&host),
            address: Some(end.address),
            port: Some(end.asked.port),
            verdict: None,
            code: None,
            up: Some(self.up),
            down: Some(self.down),
        };
        end.shared.spool.note(&record, false);
    }
}
