//! Blobs as files, named by their digest, below the data directory.

use std::io::Write;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use sha2::{Digest, Sha256};
use store::{BlobId, Blobs, Error, Result};
use tokio_util::io::ReaderStream;
use wire::WorkspaceId;

use crate::{SqliteStore, failed};

impl SqliteStore {
    fn blob_path(&self, workspace: WorkspaceId, id: &BlobId) -> Result<PathBuf> {
        // The id comes from our own documents, but a path is never built from anything but a digest.
        if id.0.len() != 64 || !id.0.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Error::NotFound);
        }
        let (shard, rest) = id.0.split_at(2);
        Ok(self.blobs.join(workspace.to_string()).join(shard).join(rest))
    }
}

#[async_trait]
impl Blobs for SqliteStore {
    async fn put(
        &self,
        workspace: WorkspaceId,
        mut bytes: BoxStream<'static, std::io::Result<Bytes>>,
    ) -> Result<(BlobId, u64)> {
        let mut file = tempfile::NamedTempFile::new_in(&self.blobs).map_err(failed)?;
        let mut digest = Sha256::new();
        let mut size = 0;
        while let Some(chunk) = bytes.next().await {
            let chunk = chunk.map_err(failed)?;
            digest.update(&chunk);
            size += chunk.len() as u64;
            file = blocking(move || file.write_all(&chunk).map(|()| file)).await?;
        }
        let id = BlobId(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        let path = self.blob_path(workspace, &id)?;
        blocking(move || persist(file, &path)).await?;
        Ok((id, size))
    }

    async fn read(&self, workspace: WorkspaceId, id: &BlobId) -> Result<BoxStream<'static, std::io::Result<Bytes>>> {
        let path = self.blob_path(workspace, id)?;
        let file = tokio::fs::File::open(path).await.map_err(|_| Error::NotFound)?;
        Ok(ReaderStream::with_capacity(file, 64 << 10).boxed())
    }

    async fn export(&self, workspace: WorkspaceId, id: &BlobId, to: &Path) -> Result<()> {
        let path = self.blob_path(workspace, id)?;
        tokio::fs::copy(path, to).await.map(|_| ()).map_err(failed)
    }
}

/// Durable before it has its name: the file's bytes first, then the directory entry.
fn persist(file: tempfile::NamedTempFile, path: &Path) -> std::io::Result<()> {
    file.as_file().sync_all()?;
    let Some(directory) = path.parent() else { return Err(std::io::Error::other("a blob's path has a directory")) };
    let is_new = !directory.exists();
    std::fs::create_dir_all(directory)?;
    file.persist(path).map_err(|error| error.error)?;
    let parents = if is_new { 3 } else { 1 };
    directory.ancestors().take(parents).try_for_each(|directory| std::fs::File::open(directory)?.sync_all())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(failed)?.map_err(failed)
}
