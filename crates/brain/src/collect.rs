//! What a session leaves in its outputs directory becomes files.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use hands::{Entry, Hand};
use store::{Change, Document, Filter, Kind, Order, Query};
use wire::file::{File, FileType, MAX_NAME, Scope, ScopeType, is_of_names, media_type};
use wire::{FileId, SessionId, WorkspaceId};

use crate::live::{Live, Sessions};
use crate::record::{FileRecord, Output};

/// Larger files are left in the sandbox.
const MAX_SIZE: u64 = 500 << 20;

/// Bytes of all files that a session leaves in its life, those that changed or were deleted since included: none of them
/// leaves the server's disk, and a sandbox can have files that are larger than its own.
const MAX_TOTAL: u64 = 10 << 30;

/// The most files of one session.
const MAX_FILES: usize = 1_000;

/// The most that are known of, input files and deleted ones included.
const KNOWN: usize = 10_000;

/// Makes files of what is new or has changed. A file that changed gets a new id, as files are immutable.
pub(crate) async fn collect(sessions: &Sessions, live: &Live, hand: Arc<dyn Hand>) -> Result<usize, String> {
    let (entries, truncated) = hand.outputs().await.map_err(|error| error.to_string())?;
    if truncated {
        tracing::warn!(session = %live.id, "the session left more files than are collected");
    }
    let (mut known, taken) = outputs(sessions, live.workspace, live.id).await.map_err(|error| error.to_string())?;
    let mut left = MAX_TOTAL.saturating_sub(taken);
    let mut collected = 0;
    for entry in entries.into_iter().take(MAX_FILES) {
        let earlier = known.remove(&entry.path);
        let same =
            earlier.as_ref().is_some_and(|(_, output)| output.size == entry.size && output.modified == entry.modified);
        if same || entry.size > MAX_SIZE {
            continue;
        }
        if entry.size > left {
            tracing::warn!(session = %live.id, path = entry.path, "the session has left more bytes than are collected");
            continue;
        }
        left -= entry.size;
        let name = name_of(&entry.path);
        let replaced = earlier.map(|(document, _)| document);
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
    replaced: Option<Document>,
) -> Result<(), String> {
    let bytes = chunks(hand, entry.path.clone(), entry.size).boxed();
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
    // Its bytes stay, and so it goes on counting.
    let archive = replaced.map(|earlier| {
        let (version, archived_at) = (earlier.version + 1, earlier.archived_at.or(Some(now)));
        Change::Update(Document { version, updated_at: now, archived_at, ..earlier })
    });
    let changes = archive.into_iter().chain([Change::Insert(document)]).collect();
    sessions.store.apply(changes).await.map_err(|error| error.to_string())
}

/// No more than the file had when it was listed: one that grows is for the next turn, and its sandbox may lie.
fn chunks(hand: Arc<dyn Hand>, path: String, size: u64) -> impl futures::Stream<Item = std::io::Result<Bytes>> + Send {
    let start = Some(0);
    futures::stream::unfold(start, move |offset| {
        let (hand, path) = (hand.clone(), path.clone());
        async move {
            let offset: u64 = offset?;
            if offset > size {
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

/// The path's last part, without what no file's name has: `_` stands in its place.
fn name_of(path: &str) -> String {
    let last = path.rsplit('/').next().filter(|last| !last.is_empty()).unwrap_or("unnamed");
    last.chars().map(|letter| if is_of_names(letter) { letter } else { '_' }).take(MAX_NAME).collect()
}

/// The files that were collected before, by path, the last of each: also those that clients have deleted since. And how many
/// bytes all of them have.
async fn outputs(
    sessions: &Sessions,
    workspace: WorkspaceId,
    session: SessionId,
) -> store::Result<(HashMap<String, (Document, Output)>, u64)> {
    let filter = Filter { parent: Some(session.to_string()), include_archived: true, ..Filter::default() };
    let query = Query { workspace, kind: Kind::File, filter, order: Order::NewestFirst, after: None, limit: KNOWN };
    let (mut known, mut bytes) = (HashMap::new(), 0_u64);
    for listed in sessions.store.query(query).await? {
        let record: Option<FileRecord> = serde_json::from_str(&listed.document.body).ok();
        let Some(output) = record.and_then(|record| record.output) else { continue };
        bytes = bytes.saturating_add(output.size);
        known.entry(output.path.clone()).or_insert((listed.document, output));
    }
    Ok((known, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_makes_a_file_name() {
        let long = "é".repeat(300);
        for (path, name) in [
            ("report.csv", "report.csv"),
            ("deep/report 10:30?.csv", "report 10_30_.csv"),
            ("a\\b\n<c>", "a_b__c_"),
            ("", "unnamed"),
            (&long, &long[..510]),
        ] {
            assert_eq!(name_of(path), name);
            assert_eq!(wire::file::name_fault(&name_of(path)), None);
        }
    }
}
