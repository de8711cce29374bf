//! Blobs as files, named by their digest, below the data directory.

use std::fs::File;
use std::io::{self, Write};
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
        if !is_digest(&id.0) {
            return Err(Error::NotFound);
        }
        let (shard, rest) = id.0.split_at(2);
        Ok(self.blobs.join(workspace.to_string()).join(shard).join(rest))
    }
}

/// Removes what an earlier process was still writing: whole blobs lie in directories.
pub(crate) fn sweep(blobs: &Path) {
    for entry in std::fs::read_dir(blobs).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_file())
            && let Err(error) = std::fs::remove_file(entry.path())
        {
            tracing::warn!(%error, "a blob that was never finished cannot be removed");
        }
    }
}

#[async_trait]
impl Blobs for SqliteStore {
    async fn put(
        &self,
        workspace: WorkspaceId,
        mut bytes: BoxStream<'static, io::Result<Bytes>>,
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

    async fn read(&self, workspace: WorkspaceId, id: &BlobId) -> Result<BoxStream<'static, io::Result<Bytes>>> {
        let path = self.blob_path(workspace, id)?;
        let file = tokio::fs::File::open(path).await.map_err(|_| Error::NotFound)?;
        Ok(ReaderStream::with_capacity(file, 64 << 10).boxed())
    }

    async fn export(&self, workspace: WorkspaceId, id: &BlobId, to: &Path) -> Result<()> {
        let path = self.blob_path(workspace, id)?;
        tokio::fs::copy(path, to).await.map(|_| ()).map_err(failed)
    }
}

fn is_digest(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The blobs that follow on this workspace and id, at most `limit`, with their sizes.
pub(crate) fn list(
    blobs: &Path,
    after: Option<&(String, String)>,
    limit: usize,
) -> io::Result<Vec<(WorkspaceId, BlobId, u64)>> {
    let (last_workspace, last_id) = after.map(|(workspace, id)| (workspace.as_str(), id.as_str())).unwrap_or_default();
    let last_shard = last_id.get(..2).unwrap_or_default();
    let mut found = Vec::new();
    for name in names(blobs)? {
        // Beside the workspaces are the files that are being written.
        let Ok(workspace) = name.parse::<WorkspaceId>() else { continue };
        for shard in names(&blobs.join(&name))? {
            if (name.as_str(), shard.as_str()) < (last_workspace, last_shard) {
                continue;
            }
            let directory = blobs.join(&name).join(&shard);
            for rest in names(&directory)? {
                let id = format!("{shard}{rest}");
                if !is_digest(&id) || (name.as_str(), id.as_str()) <= (last_workspace, last_id) {
                    continue;
                }
                found.push((workspace, BlobId(id), std::fs::metadata(directory.join(rest))?.len()));
                if found.len() == limit {
                    return Ok(found);
                }
            }
        }
    }
    Ok(found)
}

/// What is in a directory, in order.
fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = std::fs::read_dir(directory)?;
    let names = entries.filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose());
    let mut names: Vec<String> = names.collect::<io::Result<_>>()?;
    names.sort_unstable();
    Ok(names)
}

/// Durable before it has its name: the file's bytes first, then the directory entry.
fn persist(file: tempfile::NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    let Some(directory) = path.parent() else { return Err(io::Error::other("a blob's path has a directory")) };
    let is_new = !directory.exists();
    std::fs::create_dir_all(directory)?;
    file.persist(path).map_err(|error| error.error)?;
    let parents = if is_new { 3 } else { 1 };
    directory.ancestors().take(parents).try_for_each(|directory| File::open(directory)?.sync_all())
}

pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(failed)?.map_err(failed)
}
