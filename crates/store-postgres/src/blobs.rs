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

/// Bytes in one chunk.
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
        let row = sql.fetch_optional(&self.pool).await.map_err(failed)?;
        row.map(|row| row.try_get(0).map_err(failed)).transpose()
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
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        let sql = "INSERT INTO blobs (workspace, id, size) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        let sql = sqlx::query(sql).bind(workspace.clone()).bind(id.0.clone()).bind(signed(size));
        let is_new = sql.execute(&mut *transaction).await.map_err(failed)?.rows_affected() == 1;
        for number in 0.. {
            let read = move || {
                let mut chunk = Vec::with_capacity(CHUNK);
                Read::by_ref(&mut file).take(CHUNK as u64).read_to_end(&mut chunk).map(|_| (file, chunk))
            };
            let (rest, chunk) = blocking(read).await?;
            file = rest;
            if !is_new || chunk.is_empty() {
                break;
            }
            let sql = "INSERT INTO blob_chunks (workspace, id, number, bytes) VALUES ($1, $2, $3, $4)";
            let sql = sqlx::query(sql).bind(workspace.clone()).bind(id.0.clone()).bind::<i32>(number).bind(chunk);
            sql.execute(&mut *transaction).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok((id, size))
    }

    async fn read(&self, workspace: WorkspaceId, id: &BlobId) -> Result<BoxStream<'static, std::io::Result<Bytes>>> {
        if cannot_be(&id.0) {
            return Err(Error::NotFound);
        }
        let (workspace, id) = (workspace.to_string(), id.0.clone());
        let sql = sqlx::query("SELECT size FROM blobs WHERE workspace = $1 AND id = $2");
        let found = sql.bind(workspace.clone()).bind(id.clone()).fetch_optional(&self.pool).await.map_err(failed)?;
        let size = number(&found.ok_or(Error::NotFound)?, 0)?;
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
