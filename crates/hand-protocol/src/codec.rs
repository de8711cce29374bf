//! Length-prefixed JSON over a blocking stream. The host has its own asynchronous reader over the same layout.

use std::io::{self, Read, Write};

use serde::{Serialize, de::DeserializeOwned};

use crate::MAX_FRAME;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the other side closed the connection")]
    Closed,
    #[error("a frame of {0} bytes is over the limit of {MAX_FRAME}")]
    TooLarge(usize),
    #[error("a frame that is not of this protocol: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error(transparent)]
    Io(io::Error),
}

/// Reads one frame. A clean end between two frames is [`Error::Closed`].
pub fn read_frame<T: DeserializeOwned>(from: &mut impl Read) -> Result<T, Error> {
    let mut length = [0; 4];
    from.read_exact(&mut length).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::Closed,
        _ => Error::Io(error),
    })?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_FRAME {
        return Err(Error::TooLarge(length));
    }
    // Grown as bytes arrive: a peer that only announces a large frame must not make us reserve it.
    let mut body = Vec::new();
    from.take(length as u64).read_to_end(&mut body).map_err(Error::Io)?;
    if body.len() < length {
        return Err(Error::Closed);
    }
    Ok(serde_json::from_slice(&body)?)
}

/// Writes one frame, in one `write` where the stream takes it whole.
pub fn write_frame<T: Serialize>(to: &mut impl Write, frame: &T) -> Result<(), Error> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, frame)?;
    let length = bytes.len() - 4;
    if length > MAX_FRAME {
        return Err(Error::TooLarge(length));
    }
    bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
    to.write_all(&bytes).map_err(Error::Io)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Request, Verb};

    #[test]
    fn a_frame_survives_the_round_trip() {
        let request = Request { seq: 7, epoch: 3, verb: Verb::Cancel { call: "sevt_1".into() } };
        let mut bytes = Vec::new();
        write_frame(&mut bytes, &request).unwrap();
        let back: Request = read_frame(&mut bytes.as_slice()).unwrap();
        assert_eq!(back, request);
    }

    #[test]
    fn an_oversized_announcement_is_refused_before_it_is_read() {
        let bytes = u32::MAX.to_le_bytes();
        assert!(matches!(read_frame::<Request>(&mut bytes.as_slice()), Err(Error::TooLarge(_))));
    }

    #[test]
    fn a_cut_frame_is_a_closed_connection() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, &Request { seq: 1, epoch: 1, verb: Verb::Outputs }).unwrap();
        bytes.truncate(bytes.len() - 2);
        assert!(matches!(read_frame::<Request>(&mut bytes.as_slice()), Err(Error::Closed)));
    }
}
