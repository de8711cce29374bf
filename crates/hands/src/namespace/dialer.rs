//! The way to a daemon of this machine: the socket in its hand's directory.

use std::{io::ErrorKind, os::fd::AsRawFd, path::Path, sync::Arc};

use async_trait::async_trait;
use rustix::fs::{CWD, Mode, OFlags, openat};
use tokio::{net::UnixStream, task::spawn_blocking};

use super::{directory::Record, shared::Shared};
use crate::{Address, BoxedStream, Dial, Lost, connection::gone};

/// Kept by a hand, to reach its sandbox again.
pub(super) struct Dialer {
    pub(super) shared: Arc<Shared>,
    pub(super) address: Address,
}

#[async_trait]
impl Dial for Dialer {
    async fn dial(&self) -> Result<BoxedStream, Lost> {
        let record = find(&self.shared, &self.address).await?;
        Ok(Box::new(connect(&self.shared.data_dir().join(&record.address.directory)).await?))
    }
}

/// What is known of the sandbox at this address, unless it was put away.
pub(super) async fn find(shared: &Arc<Shared>, address: &Address) -> Result<Record, Lost> {
    let (shared, address) = (Arc::clone(shared), address.clone());
    let found = spawn_blocking(move || shared.seek(&address)).await;
    found.map_err(|error| Lost::Refused(error.to_string()))?
}

/// Connects to the socket in the hand's directory.
pub(super) async fn connect(directory: &Path) -> Result<UnixStream, Lost> {
    match open(directory).await {
        Ok(stream) => Ok(stream),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            Err(gone(format!("its socket does not answer: {error}")))
        }
        // Want of descriptors or of memory is this server's trouble: the sandbox lives, and must not be replaced for it.
        Err(error) => Err(Lost::Refused(format!("its socket cannot be reached just now: {error}"))),
    }
}

async fn open(directory: &Path) -> std::io::Result<UnixStream> {
    // A socket's address holds 108 bytes, a path more: the way through a descriptor is always short.
    let directory = openat(CWD, directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    UnixStream::connect(format!("/proc/self/fd/{}/socket", directory.as_raw_fd())).await
}
