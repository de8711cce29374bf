//! Blobs as bytes in a map.

use std::path::Path;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use sha2::{Digest, Sha256};
use wire::WorkspaceId;

use super::{Volatile, failed};
use crate::{BlobId, Blobs, Error, Result};

impl Volatile {
    fn blob(&self, workspace: WorkspaceId, id: &BlobId) -> Result<Bytes> {
        self.memory.lock().blobs.get(&(workspace, id.0.clone())).cloned().ok_or(Error::NotFound)
    }
}

#[async_trait]
impl Blobs for Volatile {
    async fn put(
        &self,
        workspace: WorkspaceId,
        mut bytes: BoxStream<'static, std::io::Result<Bytes>>,
    ) -> Result<(BlobId, u64)> {
        let mut whole = BytesMut::new();
        while let Some(chunk) = bytes.next().await {
            whole.extend_from_slice(&chunk.map_err(failed)?);
        }
        let whole = whole.freeze();
        let id = BlobId(Sha256::digest(&whole).iter().map(|byte| format!("{byte:02x}")).collect());
        let size = whole.len() as u64;
        self.memory.lock().blobs.insert((workspace, id.0.clone()), whole);
        Ok((id, size))
    }

    async fn read(&self, workspace: WorkspaceId, id: &BlobId) -> Result<BoxStream<'static, std::io::Result<Bytes>>> {
        let whole = self.blob(workspace, id)?;
        Ok(stream::iter([Ok(whole)]).boxed())
    }

    async fn export(&self, workspace: WorkspaceId, id: &BlobId, to: &Path) -> Result<()> {
        let whole = self.blob(workspace, id)?;
        tokio::fs::write(to, whole).await.map_err(failed)
    }
}
