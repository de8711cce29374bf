//! A whole installation as one file: a line of JSON for each record, the bytes of blobs between them, and a digest at the end.

use std::io::{self, BufRead, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::StreamExt;
use futures::channel::mpsc;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wire::WorkspaceId;

use crate::{BlobId, Record, Store};

/// The form of the file. Raised with every change that an older version could not read.
const FORMAT: u32 = 1;

/// Records read or written at a time.
const PART: usize = 500;

/// Bytes of records that are written to a store at a time, give or take one record.
const PART_BYTES: usize = 4 << 20;

/// Bytes of a blob in one line.
const CHUNK: usize = 256 << 10;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] crate::Error),
    #[error(transparent)]
    File(#[from] io::Error),
    #[error("this is not a whole export of Stead: {0}")]
    NotAnExport(String),
    #[error("the store has something in it already: an import needs an empty one")]
    NotEmpty,
}

#[derive(Serialize, Deserialize)]
struct Head {
    stead_export: u32,
}

#[derive(Serialize, Deserialize)]
struct Chunk {
    bytes: String,
}

#[derive(Serialize, Deserialize)]
struct End {
    records: u64,
    /// Of all bytes before this line.
    sha256: String,
}

/// Writes everything that the store keeps. Returns how many records; `progress` is told of them now and then.
pub async fn export(store: &dyn Store, file: &mut dyn Write, progress: impl Fn(u64)) -> Result<u64, Error> {
    let mut file = Digested { file, digest: Sha256::new() };
    file.line(&Head { stead_export: FORMAT })?;
    let mut records = 0;
    let mut after = None;
    loop {
        let part = store.part(after, PART).await?;
        for record in &part.records {
            file.line(record)?;
            records += 1;
            if let Record::Blob { workspace, id, .. } = record {
                let mut bytes = store.read(*workspace, &BlobId(id.clone())).await?;
                // Lines of one length, however the store cuts its bytes: equal installations have equal exports.
                let mut waiting = Vec::new();
                while let Some(bytes) = bytes.next().await {
                    waiting.extend_from_slice(&bytes?);
                    let whole = waiting.len() - waiting.len() % CHUNK;
                    for chunk in waiting.drain(..whole).as_slice().chunks(CHUNK) {
                        file.line(&Chunk { bytes: STANDARD.encode(chunk) })?;
                    }
                }
                if !waiting.is_empty() {
                    file.line(&Chunk { bytes: STANDARD.encode(&waiting) })?;
                }
            }
        }
        progress(records);
        after = part.next;
        if after.is_none() {
            break;
        }
    }
    let sha256 = hex(file.digest.clone().finalize().as_slice());
    file.line(&End { records, sha256 })?;
    file.file.flush()?;
    Ok(records)
}

struct Digested<'a> {
    file: &'a mut dyn Write,
    digest: Sha256,
}

impl Digested<'_> {
    fn line(&mut self, value: &impl Serialize) -> Result<(), Error> {
        let mut line = serde_json::to_vec(value).map_err(io::Error::from)?;
        line.push(b'\n');
        self.digest.update(&line);
        self.file.write_all(&line)?;
        Ok(())
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether the file is whole; returns how many records it has. Read before anything is written, so that a file that was cut
/// short changes nothing.
pub fn verify(file: &mut dyn BufRead) -> Result<u64, Error> {
    let cut = |reason: &str| Error::NotAnExport(reason.to_owned());
    let mut digest = Sha256::new();
    let mut line = Vec::new();
    file.read_until(b'\n', &mut line)?;
    let head: Head = serde_json::from_slice(&line).map_err(|_| cut("its first line says nothing of one"))?;
    if head.stead_export != FORMAT {
        return Err(Error::NotAnExport(format!(
            "it is of form {}, and this version of Stead reads form {FORMAT}",
            head.stead_export
        )));
    }
    loop {
        digest.update(&line);
        line.clear();
        if file.read_until(b'\n', &mut line)? == 0 {
            return Err(cut("it has no end"));
        }
        if let Ok(end) = serde_json::from_slice::<End>(&line) {
            return match hex(digest.finalize().as_slice()) == end.sha256 {
                true => Ok(end.records),
                false => Err(cut("its bytes have changed since it was written")),
            };
        }
    }
}

/// Writes all that the file holds, which must have been verified, into an empty store.
pub async fn import(store: &dyn Store, file: &mut dyn BufRead, progress: impl Fn(u64)) -> Result<u64, Error> {
    if !store.is_empty().await? {
        return Err(Error::NotEmpty);
    }
    let mut lines = Lines { file, line: String::new() };
    // The head, which was verified.
    lines.next()?;
    let (mut records, mut part, mut bytes) = (0, Vec::new(), 0);
    while let Some(line) = lines.next()? {
        if serde_json::from_str::<End>(line).is_ok() {
            break;
        }
        let record: Record = serde_json::from_str(line)
            .map_err(|error| Error::NotAnExport(format!("record {} is not of this version: {error}", records + 1)))?;
        bytes += line.len();
        records += 1;
        if let Record::Blob { workspace, id, size } = &record {
            put(store, *workspace, id, *size, &mut lines).await?;
            continue;
        }
        part.push(record);
        if part.len() >= PART || bytes > PART_BYTES {
            store.import(std::mem::take(&mut part)).await?;
            bytes = 0;
            progress(records);
        }
    }
    store.import(part).await?;
    progress(records);
    Ok(records)
}

async fn put(
    store: &dyn Store,
    workspace: WorkspaceId,
    id: &str,
    size: u64,
    lines: &mut Lines<'_>,
) -> Result<(), Error> {
    let (mut sender, receiver) = mpsc::channel::<io::Result<Bytes>>(4);
    let feed = async {
        let mut left = size;
        while left > 0 {
            let chunk = lines.chunk()?;
            left = left.saturating_sub(chunk.len() as u64);
            // A store that does not want more says why itself.
            if futures::SinkExt::send(&mut sender, Ok(chunk)).await.is_err() {
                break;
            }
        }
        drop(sender);
        Ok::<(), Error>(())
    };
    let put = store.put(workspace, receiver.boxed());
    let (fed, stored) = futures::join!(feed, put);
    fed?;
    match stored? {
        (stored, _) if stored.0 == id => Ok(()),
        (stored, _) => Err(Error::NotAnExport(format!("the blob {id} came out as {}", stored.0))),
    }
}

struct Lines<'a> {
    file: &'a mut dyn BufRead,
    line: String,
}

impl Lines<'_> {
    fn next(&mut self) -> io::Result<Option<&str>> {
        self.line.clear();
        let read = self.file.read_line(&mut self.line)?;
        Ok((read > 0).then_some(self.line.trim_end()))
    }

    fn chunk(&mut self) -> Result<Bytes, Error> {
        let missing = || Error::NotAnExport("a blob ends too early".into());
        let line = self.next()?.ok_or_else(missing)?;
        let chunk: Chunk = serde_json::from_str(line).map_err(|_| missing())?;
        STANDARD.decode(chunk.bytes).map(Bytes::from).map_err(|_| missing())
    }
}
