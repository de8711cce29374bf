//! The server's side of a WebSocket, as clusters send it: in parts, and with pings between.

use std::io;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::{Engine, prelude::BASE64_STANDARD};
use tokio::io::{AsyncRead, AsyncReadExt};

/// What a client has sent.
pub(crate) enum Heard {
    Input(Vec<u8>),
    Other,
    End,
}

pub(crate) fn accepted(key: &str) -> String {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11").as_bytes());
    BASE64_STANDARD.encode(hash.as_ref())
}

pub(crate) async fn hear(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Heard> {
    let first = from.read_u8().await?;
    let second = from.read_u8().await?;
    assert_eq!(second & 0x80, 0x80, "what a client sends is masked");
    let length = match second & 0x7f {
        126 => u64::from(from.read_u16().await?),
        127 => from.read_u64().await?,
        short => u64::from(short),
    };
    let mut mask = [0; 4];
    from.read_exact(&mut mask).await?;
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    from.read_exact(&mut payload).await?;
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Ok(match first {
        0x82 => {
            assert_eq!(payload.remove(0), 0, "a client has one channel");
            Heard::Input(payload)
        }
        0x88 => Heard::End,
        0x89 | 0x8a => Heard::Other,
        other => panic!("a client sends a frame {other:#x}"),
    })
}

pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u16::try_from(payload.len()) {
        Ok(length) if length < 126 => frame.push(u8::try_from(length).unwrap()),
        Ok(length) => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
        Err(_) => {
            frame.push(127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// A message on a channel, in two parts with a ping between.
pub(crate) fn message(channel: u8, payload: &[u8]) -> Vec<u8> {
    let (one, two) = payload.split_at(payload.len() / 2);
    [frame(0x02, &[&[channel], one].concat()), frame(0x89, b"ping"), frame(0x80, two)].concat()
}
