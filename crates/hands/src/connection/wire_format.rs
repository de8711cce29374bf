//! The layout of [`hand_protocol`]'s frames, for an asynchronous reader.

use hand_protocol::{Answer, MAX_FRAME, Request};
use tokio::io::{AsyncRead, AsyncReadExt};

pub(super) fn encode(request: &Request) -> Result<Vec<u8>, String> {
    let mut frame = Vec::new();
    hand_protocol::write_frame(&mut frame, request).map_err(|error| error.to_string())?;
    Ok(frame)
}

/// One answer, or why there are no more.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> Result<Answer, String> {
    let mut length = [0; 4];
    from.read_exact(&mut length).await.map_err(|_| "its daemon has ended".to_owned())?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_FRAME {
        return Err(format!("its daemon announced a frame of {length} bytes, over the limit of {MAX_FRAME}"));
    }
    // Grown as bytes arrive, for an announcement costs the daemon nothing.
    let mut body = Vec::new();
    from.take(length as u64).read_to_end(&mut body).await.map_err(|error| error.to_string())?;
    if body.len() < length {
        return Err("its daemon has ended".into());
    }
    serde_json::from_slice(&body).map_err(|error| format!("its daemon does not follow the protocol: {error}"))
}
