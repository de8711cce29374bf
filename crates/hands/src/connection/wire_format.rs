//! The layout of [`hand_protocol`]'s frames, for an asynchronous reader.

use hand_protocol::{Answer, MAX_FRAME, Request};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{Failure, gone};

pub(super) fn encode(request: &Request) -> Result<Vec<u8>, String> {
    let mut frame = Vec::new();
    hand_protocol::write_frame(&mut frame, request).map_err(|error| error.to_string())?;
    Ok(frame)
}

/// One answer, or why there are no more.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> Result<Answer, Failure> {
    let ended = |error: std::io::Error| Failure::Ended(format!("its daemon is heard no more: {error}"));
    let mut length = [0; 4];
    from.read_exact(&mut length).await.map_err(ended)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_FRAME {
        let why = format!("its daemon announced a frame of {length} bytes, over the limit of {MAX_FRAME}");
        return Err(gone(why).into());
    }
    // Grown as bytes arrive, for an announcement costs the daemon nothing.
    let mut body = Vec::new();
    from.take(length as u64).read_to_end(&mut body).await.map_err(ended)?;
    if body.len() < length {
        return Err(Failure::Ended("its daemon was cut off in mid-sentence".into()));
    }
    serde_json::from_slice(&body)
        .map_err(|error| gone(format!("its daemon does not follow the protocol: {error}")).into())
}
