//! Frames: a little-endian `u32` length, and that many bytes of JSON.

use std::io;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// No frame is larger, in bytes.
pub(crate) const MOST: usize = 1 << 20;

/// The same for those whom nobody knows yet.
pub(crate) const MOST_OF_STRANGERS: usize = 4 << 10;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("a frame of {length} bytes is over the limit of {limit}")]
    TooLarge { length: usize, limit: usize },
    #[error("a frame that is not of this protocol: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
}

pub(crate) fn encode(frame: &impl Serialize) -> Result<Bytes, Error> {
    let body = serde_json::to_vec(frame)?;
    let length = body.len();
    let too_large = Error::TooLarge { length, limit: MOST };
    let announced = u32::try_from(length).ok().filter(|_| length <= MOST).ok_or(too_large)?;
    let mut bytes = announced.to_le_bytes().to_vec();
    bytes.extend(body);
    Ok(bytes.into())
}

/// Takes nothing beyond the frame. Not to be given up half way: the rest would be taken for a frame.
pub(crate) async fn read<T: DeserializeOwned, R: AsyncRead + Unpin>(from: &mut R, limit: usize) -> Result<T, Error> {
    let length = from.read_u32_le().await? as usize;
    if length > limit {
        return Err(Error::TooLarge { length, limit });
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).await?;
    Ok(serde_json::from_slice(&body)?)
}

pub(crate) async fn write<W: AsyncWrite + Unpin>(to: &mut W, frame: &impl Serialize) -> Result<(), Error> {
    to.write_all(&encode(frame)?).await?;
    Ok(to.flush().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_follow_each_other_and_nothing_is_taken_beyond_one() {
        let mut bytes = encode(&"one").unwrap().to_vec();
        bytes.extend(encode(&["two"]).unwrap());
        bytes.extend(b"raw");
        let mut bytes = bytes.as_slice();
        assert_eq!(read::<String, _>(&mut bytes, MOST).await.unwrap(), "one");
        assert_eq!(read::<Vec<String>, _>(&mut bytes, MOST).await.unwrap(), ["two"]);
        assert_eq!(bytes, b"raw");
    }

    #[tokio::test]
    async fn an_oversized_announcement_is_refused_before_it_is_read() {
        let announced = u32::MAX.to_le_bytes();
        let read = read::<String, _>(&mut announced.as_slice(), MOST).await;
        assert!(matches!(read, Err(Error::TooLarge { length, limit: MOST }) if length == u32::MAX as usize));
        assert!(matches!(encode(&"x".repeat(MOST)), Err(Error::TooLarge { .. })));
    }

    #[tokio::test]
    async fn a_cut_frame_is_none() {
        let bytes = encode(&"one").unwrap();
        let mut cut = bytes.get(..bytes.len() - 1).unwrap();
        assert!(matches!(read::<String, _>(&mut cut, MOST).await, Err(Error::Io(_))));
    }
}
