//! What is left of a sandbox that was put away, on its way to another node.

use std::fmt::Display;
use std::path::Path;

use bytes::BytesMut;
use hands::{Address, Lost};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::frame;
use crate::peers::Shared;
use crate::remote;
use crate::socket::PATIENCE;
use crate::wants::{Verdict, Want};

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;

/// Copies it from the node of this data directory to a new file, which may be there in part if this fails. `Gone` if
/// that node has none.
pub(crate) async fn fetch(shared: &Shared, home: &str, address: &Address, to: &Path) -> Result<(), Lost> {
    let broken = |error: &dyn Display| Lost::Refused(format!("what is left of it could not be fetched: {error}"));
    let want = Want::Checkpoint { address: address.clone() };
    let mut stream = remote::ask(shared, home, &want).await?;
    let length = timeout(PATIENCE, stream.read_u64_le()).await.map_err(|error| broken(&error))?;
    let length = length.map_err(|error| broken(&error))?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).await;
    let mut file = file.map_err(|error| broken(&error))?;
    let (mut from, mut copied, mut piece) = (stream.take(length), 0, BytesMut::with_capacity(PIECE));
    loop {
        piece.clear();
        // A node that stands still is as good as none.
        let read = timeout(PATIENCE, from.read_buf(&mut piece)).await.map_err(|error| broken(&error))?;
        match read.map_err(|error| broken(&error))? {
            0 => break,
            read => copied += read as u64,
        }
        file.write_all(&piece).await.map_err(|error| broken(&error))?;
    }
    file.flush().await.map_err(|error| broken(&error))?;
    if copied == length { Ok(()) } else { Err(broken(&format_args!("it ends after {copied} of {length} bytes"))) }
}

/// The other side of it.
pub(crate) async fn give(shared: &Shared, mut stream: TcpStream, address: &Address) {
    let (file, verdict) = match open(shared, address).await {
        Ok(file) => (Some(file), Verdict::Reached { ok: true }),
        Err(lost) => (None, Verdict::from(lost)),
    };
    if frame::write(&mut stream, &verdict).await.is_err() {
        return;
    }
    // Whoever gets less than was announced asks again, or does without.
    if let Some((file, length)) = file
        && stream.write_u64_le(length).await.is_ok()
        && let Err(error) = tokio::io::copy(&mut file.take(length), &mut stream).await
    {
        tracing::debug!(%error, "what is left of a sandbox could not be sent to another node");
    }
}

async fn open(shared: &Shared, address: &Address) -> Result<(File, u64), Lost> {
    if address.home.as_ref() != Some(&shared.local.directory) {
        return Err(Lost::Refused("it did not live on the node that was asked for it".into()));
    }
    let refused = |error: std::io::Error| Lost::Refused(error.to_string());
    let found = shared.local.sandbox.checkpoint(address).await.map_err(refused)?;
    let checkpoint = found.ok_or_else(|| Lost::Gone("nothing is left of it".into()))?;
    let file = File::open(&checkpoint.path).await.map_err(refused)?;
    let length = file.metadata().await.map_err(refused)?.len();
    Ok((file, length))
}
