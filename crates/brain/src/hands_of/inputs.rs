//! The input files of a session, brought to its sandbox: when that is made, and when they change while it lives.
//!
//! The session's document says which there are. Whatever brings a file reads it there, so that doing so twice, or in
//! another order, does no harm.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hands::Address;
use serde::{Deserialize, Serialize};
use store::{BlobId, Change, Item, Kind};
use wire::session::Resource;
use wire::{SessionId, Timestamp, WorkspaceId};

use super::HandsOf;
use crate::live::Live;
use crate::record::{Mount, SessionRecord};

/// How long one taking of what other nodes have left lasts.
const BRINGING: Duration = Duration::from_secs(300);

/// The queue of input files that have changed for sandboxes of this data directory.
fn queue(home: &str) -> String {
    format!("uploads.{home}")
}

/// A path among the input files of a sandbox at which something has changed.
#[derive(Debug, Serialize, Deserialize)]
struct Changed {
    address: Address,
    path: String,
}

impl HandsOf {
    /// The session's input files as they are now, copied to where a sandbox takes them from.
    pub(super) async fn lay_out(
        &self,
        live: &Live,
        mounts: &[Mount],
        staging: &Path,
    ) -> Result<Vec<(PathBuf, String)>, String> {
        let mut uploads = Vec::with_capacity(mounts.len());
        for (index, mount) in mounts.iter().enumerate() {
            let to = staging.join(index.to_string());
            self.copy_out(live.workspace, mount, &to).await?;
            uploads.push((to, inside(path_of(mount)).to_owned()));
        }
        Ok(uploads)
    }

    /// Has a live sandbox see what has become of the input file at a path: at once if it is of this node, else as soon as
    /// its node hears of it.
    pub(crate) async fn upload(&self, session: SessionId, address: &str, path: &str) -> Result<(), String> {
        let Ok(address) = serde_json::from_str::<Address>(address) else { return Ok(()) };
        let Some(home) = address.home.clone().filter(|home| *home != self.home) else {
            return self.bring(session, &address, path).await;
        };
        let change = Changed { address, path: path.to_owned() };
        let body = serde_json::to_string(&change).map_err(|error| error.to_string())?;
        let id = format!("{session}.{:032x}", self.rng.bits());
        let item = Item { queue: queue(&home), id, due_at: Timestamp::from_millis(0), body };
        self.store.apply(vec![Change::Enqueue(item)]).await.map_err(|error| error.to_string())
    }

    /// Brings what has changed since the sandbox was given these: its log did not name it yet, and nobody could tell it.
    pub(crate) async fn catch_up(&self, session: SessionId, address: &Address, given: &[Mount]) -> Result<(), String> {
        let mounts = self.mounts(session).await?.1;
        let is_missing_in = |mount: &&Mount, all: &[Mount]| !all.contains(mount);
        let come = mounts.iter().filter(|mount| is_missing_in(mount, given));
        let gone = given.iter().filter(|mount| is_missing_in(mount, &mounts));
        for mount in come.chain(gone) {
            self.bring(session, address, path_of(mount)).await?;
        }
        Ok(())
    }

    /// Does what other nodes have left for this one.
    pub(crate) async fn bring_left(&self) {
        let queue = queue(&self.home);
        // A store that does not answer is told of by the heartbeat.
        for taken in self.store.take(&queue, 100, BRINGING).await.unwrap_or_default() {
            let session = taken.item.id.split('.').next().and_then(|id| id.parse().ok());
            let done = match (session, serde_json::from_str::<Changed>(&taken.item.body)) {
                (Some(session), Ok(change)) => self.bring(session, &change.address, &change.path).await,
                _ => Ok(()),
            };
            match done {
                Ok(()) => {
                    let _ = self.store.finish(&queue, &taken.item.id, taken.attempt).await;
                }
                Err(error) => tracing::warn!(change = taken.item.id, error, "an input file was not brought"),
            }
        }
    }

    /// Makes one path among a sandbox's input files what the session's document says.
    async fn bring(&self, session: SessionId, address: &Address, path: &str) -> Result<(), String> {
        let (workspace, mounts) = self.mounts(session).await?;
        let staged = match mounts.iter().find(|mount| path_of(mount) == path) {
            None => None,
            Some(mount) => {
                let staged = self.staging.join(format!("{session}-{:032x}", self.rng.bits()));
                self.copy_out(workspace, mount, &staged).await?;
                Some(staged)
            }
        };
        let changed = self.sandbox.upload(address, inside(path), staged.as_deref()).await;
        if let Some(staged) = staged {
            let _ = tokio::fs::remove_file(staged).await;
        }
        changed.map_err(|error| error.to_string())
    }

    async fn copy_out(&self, workspace: WorkspaceId, mount: &Mount, to: &Path) -> Result<(), String> {
        if let Some(parent) = to.parent() {
            tokio::fs::create_dir_all(parent).await.map_err(|error| error.to_string())?;
        }
        self.store.export(workspace, &BlobId(mount.blob.clone()), to).await.map_err(|error| error.to_string())
    }

    /// What the session's document says. A session that is gone has none.
    pub(super) async fn mounts(&self, session: SessionId) -> Result<(WorkspaceId, Vec<Mount>), String> {
        let words = |error: store::Error| error.to_string();
        let workspace = match self.store.head(session).await {
            Ok(head) => head.workspace,
            Err(store::Error::NotFound) => return Ok((WorkspaceId::from_bits(0), Vec::new())),
            Err(error) => return Err(words(error)),
        };
        let listed = self.store.get(workspace, Kind::Session, &session.to_string()).await.map_err(words)?;
        let record: SessionRecord = serde_json::from_str(&listed.document.body).map_err(|error| error.to_string())?;
        Ok((workspace, record.resources))
    }
}

fn path_of(mount: &Mount) -> &str {
    let Resource::File { mount_path, .. } = &mount.resource;
    mount_path
}

/// The path as it is said below the uploads directory.
fn inside(mount_path: &str) -> &str {
    mount_path.strip_prefix("/mnt/session/uploads").unwrap_or(mount_path)
}
