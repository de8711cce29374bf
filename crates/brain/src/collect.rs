//! What a session leaves in its outputs directory becomes files.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use hands::{Entry, Hand};
use store::{Change, Document, Filter, Kind, Order, Query};
use wire::file::{File, FileType, Scope, ScopeType, media_type, name_fault};
use wire::{FileId, SessionId, WorkspaceId};

use crate::live::{Live, Sessions};
use crate::record::{FileRecord, Output};

/// Larger files are left in the sandbox.
const MAX_SIZE: u64 = 500 << 20;

/// The most files of one session.
const MAX_FILES: usize = 1_000;

/// Makes files of what is new or has changed. A file that changed gets a new id, as files are immutable.
pub(crate) async fn collect(sessions: &Sessions, live: &Live, hand: Arc<dyn Hand>) -> Result<usize, String> {
    let (entries, truncated) = hand.outputs().await.map_err(|error| error.to_string())?;
    if truncated {
        tracing::warn!(session = %live.id, "the session left more files than are collected");
    }
    let mut known = outputs(sessions, live.workspace, live.id).await.map_err(|error| error.to_string())?;
    let mut collected = 0;
    for entry in entries.into_iter().take(MAX_FILES) {
        let earlier = known.remove(&entry.path);
        let same =
            earlier.as_ref().is_some_and(|(_, output)| output.size == entry.size && output.modified == entry.modified);
        if same || entry.size > MAX_SIZE {
            continue;
        }
        let Some(name) = entry.path.rsplit('/').next().filter(|name| name_fault(name).is_none()).map(str::to_owned)
        else {
            tracing::warn!(session = %live.id, path = entry.path, "the file's name cannot be a file's name; it is left in the sandbox");
            continue;
        };
        let replaced = earlier.map(|(id, _)| id);
        let path = entry.path.clone();
        match store_file(sessions, live, hand.clone(), entry, name, replaced).await {
            Ok(()) => collected += 1,
            // Removed or grown since it was listed. The others are still wanted.
            Err(error) => {
                tracing::warn!(session = %live.id, path, error, "a file that the session left could not be collected")
            }
        }
    }
    Ok(collected)
}

async fn store_file(
    sessions: &Sessions,
    live: &Live,
    hand: Arc<dyn Hand>,
    entry: Entry,
    name: String,
    replaced: Option<String>,
) -> Result<(), String> {
    let bytes = chunks(hand, entry.path.clone()).boxed();
    let (blob, size) = sessions.store.put(live.workspace, bytes).await.map_err(|error| error.to_string())?;
    let id = FileId::from_bits(sessions.rng.bits());
    let now = sessions.clock.now();
    let file = File {
        id,
        r#type: FileType::File,
        mime_type: media_type(&name).to_owned(),
        filename: name,
        size_bytes: size,
        created_at: now,
        downloadable: true,
        expires_at: None,
        scope: Some(Scope { r#type: ScopeType::Session, id: live.id }),
    };
    let output = Some(Output { path: entry.path, size: entry.size, modified: entry.modified });
    let record = FileRecord { file, blob: blob.0, output };
    let document = Document {
        parent: Some(live.id.to_string()),
        ..Document::new(
            live.workspace,
            Kind::File,
            id,
            now,
            serde_json::to_string(&record).map_err(|error| error.to_string())?,
        )
    };
    let delete = replaced.map(|id| Change::Delete { workspace: live.workspace, kind: Kind::File, id });
    let changes = delete.into_iter().chain([Change::Insert(document)]).collect();
    sessions.store.apply(changes).await.map_err(|error| error.to_string())
}

fn chunks(hand: Arc<dyn Hand>, path: String) -> impl futures::Stream<Item = std::io::Result<Bytes>> + Send {
    let start = Some(0);
    futures::stream::unfold(start, move |offset| {
        let (hand, path) = (hand.clone(), path.clone());
        async move {
            let offset: u64 = offset?;
            if offset > MAX_SIZE {
                return Some((Err(std::io::Error::other("the file grows while it is read")), None));
            }
            match hand.fetch(&path, offset, hands::MAX_CHUNK).await {
                Ok((bytes, eof)) => {
                    let next = (!eof && !bytes.is_empty()).then_some(offset + bytes.len() as u64);
                    Some((Ok(Bytes::from(bytes)), next))
                }
                Err(error) => Some((Err(std::io::Error::other(error.to_string())), None)),
            }
        }
    })
}

/// The files that were collected before, by path.
async fn outputs(
    sessions: &Sessions,
    workspace: WorkspaceId,
    session: SessionId,
) -> store::Result<HashMap<String, (String, Output)>> {
    let filter = Filter { parent: Some(session.to_string()), ..Filter::default() };
    let query = Query {
        workspace,
        kind: Kind::File,
        filter,
        order: Order::NewestFirst,
        after: None,
        limit: MAX_FILES + wire::session::MAX_FILES,
    };
    let files = sessions.store.query(query).await?;
    let read = |listed: store::Listed| {
        let record: FileRecord = serde_json::from_str(&listed.document.body).ok()?;
        let output = record.output?;
        Some((output.path.clone(), (listed.document.id, output)))
    };
    Ok(files.into_iter().filter_map(read).collect())
}
