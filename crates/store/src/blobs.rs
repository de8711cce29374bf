//! Bytes too large for a row, kept by their digest.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use wire::WorkspaceId;

use crate::Result;

/// The SHA-256 of the bytes, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BlobId(pub String);

/// Law: a blob is durable before `put` returns its id, and equal bytes have equal ids.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Takes the bytes as they come. A stream that fails leaves nothing.
    async fn put(
        &self,
        workspace: WorkspaceId,
        bytes: BoxStream<'static, std::io::Result<Bytes>>,
    ) -> Result<(BlobId, u64)>;
    async fn read(&self, workspace: WorkspaceId, id: &BlobId) -> Result<BoxStream<'static, std::io::Result<Bytes>>>;
    /// Copies the bytes to a new file of the host.
    async fn export(&self, workspace: WorkspaceId, id: &BlobId, to: &std::path::Path) -> Result<()>;
}
