//! Blobs in chunks, in the database: several nodes need nothing else.

use std::io::{Read, Seek, Write};
use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use sha2::{Digest, Sha256};
use sqlx::Row;
use store::{BlobId, Blobs, Error, Result};
use tokio::io::AsyncWriteExt;
use wire::WorkspaceId;

use crate::row::{cannot_be, number, signed};
use crate::{PostgresStore, failed};

/// Bytes in one chunk. It stays so: what an upload that was cut off has left is part of the next one.
const CHUNK: usize = 1 << 20;

fn broken(error: impl std::fmt::Display) -> Error {
    Error::Failed(error.to_string())
}

/// The bytes in a file of their own, and what they are called: that is known only at their end.
async fn spool(mut bytes: BoxStream<'static, std::io::Result<Bytes>>) -> Result<(std::fs::File, BlobId, u64)> {
    let mut file = tempfile::tempfile().map_err(broken)?;
    let (mut digest, mut size) = (Sha256::new(), 0);
    while let Some(chunk) = bytes.next().await {
        let chunk = chunk.map_err(broken)?;
        digest.update(&chunk);
        size += chunk.len() as u64;
        file = blocking(move || file.write_all(&chunk).map(|()| file)).await?;
    }
    let file = blocking(move || file.rewind().map(|()| file)).await?;
    let id = BlobId(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
    Ok((file, id, size))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(broken)?.map_err(broken)
}

impl PostgresStore {
    async fn chunk(&self, workspace: &str, id: &str, number: i32) -> Result<Option<Vec<u8>>> {
        let sql = "SELECT bytes FROM blob_chunks WHERE workspace = $1 AND id = $2 AND number = $3";
        let sql = sqlx::query(sql).bind(workspace.to_owned()).bind(id.to_owned()).bind(number);
        let row = self.line().await?.row(sql).await?;
        row.map(|row| row.try_get(0).map_err(failed)).transpose()
    }

    /// How many bytes the blob has, if it is there.
    async fn size(&self, workspace: &str, id: &str) -> Result<Option<u64>> {
        let sql = sqlx::query("SELECT size FROM blobs WHERE workspace = $1 AND id = $2");
        let row = self.line().await?.row(sql.bind(workspace.to_owned()).bind(id.to_owned())).await?;
        row.map(|row| number(&row, 0)).transpose()
    }
}

#[async_trait]
impl Blobs for PostgresStore {
    async fn put(
        &self,
        workspace: WorkspaceId,
        bytes: BoxStream<'static, std::io::Result<Bytes>>,
    ) -> Result<(BlobId, u64)> {
        let (mut file, id, size) = spool(bytes).await?;
        let workspace = workspace.to_string();
        if self.size(&workspace, &id.0).await?.is_some() {
            return Ok((id, size));
        }
        // Each chunk by itself, however long all of them take: no connection and no transaction is kept meanwhile.
        for number in 0.. {
            let read = move || {
                let mut chunk = Vec::with_capacity(CHUNK);
                Read::by_ref(&mut file).take(CHUNK as u64).read_to_end(&mut chunk).map(|_| (file, chunk))
            };
            let (rest, chunk) = blocking(read).await?;
            file = rest;
            if chunk.is_empty() {
                break;
            }
            // A chunk that is there already has the same bytes, since the id is their digest.
            let sql = "INSERT INTO blob_chunks (workspace, id, number, bytes) VALUES ($1, $2, $3, $4)
                       ON CONFLICT DO NOTHING";
            let sql = sqlx::query(sql).bind(workspace.clone()).bind(id.0.clone()).bind::<i32>(number).bind(chunk);
            self.line().await?.execute(sql).await?;
        }
        let sql = "INSERT INTO blobs (workspace, id, size) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        let sql = sqlx::query(sql).bind(workspace).bind(id.0.clone()).bind(signed(size));
        self.line().await?.execute(sql).await?;
        Ok((id, size))
    }

    async fn read(&self, workspace: WorkspaceId, id: &BlobId) -> Result<BoxStream<'static, std::io::Result<Bytes>>> {
        if cannot_be(&id.0) {
            return Err(Error::NotFound);
        }
        let (workspace, id) = (workspace.to_string(), id.0.clone());
        let size = self.size(&workspace, &id).await?.ok_or(Error::NotFound)?;
        // A query for each chunk: whoever reads slowly holds nothing.
        let chunks = futures::stream::try_unfold((self.clone(), 0, size), move |(store, next, left)| {
            let (workspace, id) = (workspace.clone(), id.clone());
            async move {
                if left == 0 {
                    return Ok(None);
                }
                let chunk = store.chunk(&workspace, &id, next).await.map_err(std::io::Error::other)?;
                // The end is where the size says, not where something is missing.
                let missing = || std::io::Error::other(format!("the database has lost chunk {next} of the blob {id}"));
                let chunk = chunk.ok_or_else(missing)?;
                let left = left.saturating_sub(chunk.len() as u64);
                Ok::<_, std::io::Error>(Some((Bytes::from(chunk), (store, next + 1, left))))
            }
        });
        Ok(chunks.boxed())
    }

    async fn export(&self, workspace: WorkspaceId, id: &BlobId, to: &Path) -> Result<()> {
        let mut bytes = self.read(workspace, id).await?;
        let mut file = tokio::fs::File::create(to).await.map_err(broken)?;
        while let Some(chunk) = bytes.next().await {
            file.write_all(&chunk.map_err(broken)?).await.map_err(broken)?;
        }
        file.flush().await.map_err(broken)
    }
}
