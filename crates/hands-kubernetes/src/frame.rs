//! The frames of a WebSocket (RFC 6455), for the side of the client: as much as carries channels of bytes.
//!
//! Payloads are not held: a frame's head says how long it is, and whoever reads passes its bytes on as they come.

use std::io::{self, ErrorKind};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::{Engine, prelude::BASE64_STANDARD};
use hand_protocol::MAX_FRAME;
use tokio::io::{AsyncRead, AsyncReadExt};

const FINAL: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
/// The longest payload of a frame that says something of the connection.
const CONTROL: u64 = 125;

const CONTINUATION: u8 = 0;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The beginning of a message.
    Binary,
    Continuation,
    Close,
    Ping,
    Pong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    /// The last of its message.
    pub(crate) is_final: bool,
    pub(crate) length: usize,
}

/// The head of the next frame. What no server may send is an error. None at an end between two frames.
pub(crate) async fn head(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Head>> {
    let refused = |why: &str| io::Error::new(ErrorKind::InvalidData, why.to_owned());
    let mut first = [0];
    if from.read(&mut first).await? == 0 {
        return Ok(None);
    }
    let [first] = first;
    let second = from.read_u8().await?;
    if first & RESERVED != 0 {
        return Err(refused("a frame of an extension that was not agreed on"));
    }
    if second & MASKED != 0 {
        return Err(refused("a masked frame from a server"));
    }
    let length = match second {
        126 => u64::from(from.read_u16().await?),
        127 => from.read_u64().await?,
        short => u64::from(short),
    };
    let is_final = first & FINAL != 0;
    let kind = match first & 0x0f {
        CONTINUATION => Kind::Continuation,
        BINARY => Kind::Binary,
        CLOSE => Kind::Close,
        PING => Kind::Ping,
        PONG => Kind::Pong,
        _ => return Err(refused("a frame of another kind than channels have")),
    };
    let is_control = matches!(kind, Kind::Close | Kind::Ping | Kind::Pong);
    if is_control && (!is_final || length > CONTROL) {
        return Err(refused("a frame about the connection that is in parts, or too long"));
    }
    match usize::try_from(length) {
        Ok(length) if length <= MAX_FRAME => Ok(Some(Head { kind, is_final, length })),
        _ => Err(refused("a frame that is longer than anything that is sent here")),
    }
}

/// A whole message on a channel.
pub(crate) fn message(channel: u8, bytes: &[u8]) -> io::Result<Vec<u8>> {
    build(BINARY, &[&[channel], bytes].concat())
}

pub(crate) fn ping() -> io::Result<Vec<u8>> {
    build(PING, b"")
}

pub(crate) fn pong(bytes: &[u8]) -> io::Result<Vec<u8>> {
    build(PONG, bytes)
}

/// Says that all is well, and that this is the end.
pub(crate) fn close() -> io::Result<Vec<u8>> {
    build(CLOSE, &1_000_u16.to_be_bytes())
}

fn build(kind: u8, payload: &[u8]) -> io::Result<Vec<u8>> {
    let mut mask = [0; 4];
    getrandom::fill(&mut mask).map_err(|error| io::Error::other(error.to_string()))?;
    let mut frame = vec![FINAL | kind];
    match payload.len() {
        short @ 0..=125 => frame.push(MASKED | short as u8),
        middle @ 126..=0xffff => {
            frame.push(MASKED | 126);
            frame.extend((middle as u16).to_be_bytes());
        }
        long => {
            frame.push(MASKED | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    Ok(frame)
}

/// What a server answers to a key, so that it is known to speak this protocol.
pub(crate) fn accepted(key: &str) -> String {
    const OF_THE_PROTOCOL: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{OF_THE_PROTOCOL}").as_bytes());
    BASE64_STANDARD.encode(hash.as_ref())
}

/// New for each connection.
pub(crate) fn key() -> io::Result<String> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(BASE64_STANDARD.encode(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(mut bytes: &[u8]) -> Result<Option<Head>, ErrorKind> {
        head(&mut bytes).await.map_err(|error| error.kind())
    }

    #[test]
    fn a_key_is_answered_as_in_the_standards_example() {
        assert_eq!(accepted("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn what_goes_out_is_masked_and_can_be_unmasked() {
        for (length, head) in [(3, 2), (200, 4), (70_000, 10)] {
            let payload = vec![7; length];
            let frame = message(0, &payload).unwrap();
            assert_eq!(frame[0], 0x82);
            assert_eq!(frame.len(), head + 4 + 1 + length);
            let (mask, masked) = frame[head..].split_at(4);
            let plain: Vec<u8> = masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
            assert_eq!(plain[0], 0);
            assert_eq!(&plain[1..], payload);
        }
    }

    #[tokio::test]
    async fn heads_of_every_length_are_read() {
        let binary = |length| Ok(Some(Head { kind: Kind::Binary, is_final: true, length }));
        assert_eq!(read(&[0x82, 5]).await, binary(5));
        assert_eq!(read(&[0x82, 126, 1, 0]).await, binary(256));
        assert_eq!(read(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]).await, binary(65_536));
        assert_eq!(read(&[0x00, 1]).await, Ok(Some(Head { kind: Kind::Continuation, is_final: false, length: 1 })));
        assert_eq!(read(&[]).await, Ok(None));
        assert_eq!(read(&[0x82]).await, Err(ErrorKind::UnexpectedEof));
    }

    #[tokio::test]
    async fn what_no_server_may_send_is_refused() {
        let hostile: [&[u8]; 6] = [
            &[0xc2, 1],
            &[0x82, 0x81],
            &[0x81, 1],
            &[0x09, 1],
            &[0x89, 126, 1, 0],
            &[0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255],
        ];
        for bytes in hostile {
            assert_eq!(read(bytes).await, Err(ErrorKind::InvalidData), "{bytes:?}");
        }
    }
}
