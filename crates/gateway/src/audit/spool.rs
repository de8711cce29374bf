//! The way to the files: many write, one thread carries it to disk, and one sync serves all who wait at that moment.

use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::files::{Bounds, Files};

/// Lines on their way to the disk. Past that, whoever must wait waits, and whoever must not is lost.
const QUEUE: usize = 4_096;

/// Lines that are written together.
const TOGETHER: usize = 512;

/// A disk that takes longer is as good as none.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was to be recorded is not, or nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit record could not be written")]
pub(crate) struct Unwritten;

#[derive(Clone)]
pub(crate) struct Spool {
    entries: mpsc::Sender<Entry>,
}

struct Entry {
    line: Vec<u8>,
    is_synced: bool,
    written: Option<oneshot::Sender<bool>>,
}

impl Spool {
    /// Its thread is named `audit` and ends after the last handle is gone.
    pub(crate) fn open(directory: &Path, bounds: Bounds) -> io::Result<Self> {
        let files = Files::open(directory, bounds)?;
        let (entries, received) = mpsc::channel(QUEUE);
        thread::Builder::new().name("audit".into()).spawn(move || carry(received, files))?;
        Ok(Self { entries })
    }

    /// Returns once it is on disk.
    pub(crate) async fn write(&self, record: &impl Serialize) -> Result<(), Unwritten> {
        self.carry(line(record).ok_or(Unwritten)?).await
    }

    /// Returns at once. What no longer fits into the queue is lost.
    pub(crate) fn note(&self, record: &impl Serialize, is_synced: bool) {
        let Some(line) = line(record) else { return };
        if self.entries.try_send(Entry { line, is_synced, written: None }).is_err() {
            tracing::warn!("an audit record was lost: the disk does not keep up");
        }
    }

    /// Returns once all that was noted before is on disk.
    pub(crate) async fn flush(&self) -> Result<(), Unwritten> {
        self.carry(Vec::new()).await
    }

    async fn carry(&self, line: Vec<u8>) -> Result<(), Unwritten> {
        let (written, done) = oneshot::channel();
        let carried = async {
            self.entries.send(Entry { line, is_synced: true, written: Some(written) }).await.ok()?;
            done.await.ok()
        };
        match timeout(PATIENCE, carried).await {
            Ok(Some(true)) => Ok(()),
            _ => Err(Unwritten),
        }
    }
}

fn line(record: &impl Serialize) -> Option<Vec<u8>> {
    let mut line = serde_json::to_vec(record).ok()?;
    line.push(b'\n');
    Some(line)
}

fn carry(mut entries: mpsc::Receiver<Entry>, mut files: Files) {
    let mut batch = Vec::new();
    let mut is_failing = false;
    while let Some(first) = entries.blocking_recv() {
        batch.push(first);
        while batch.len() < TOGETHER
            && let Ok(entry) = entries.try_recv()
        {
            batch.push(entry);
        }
        let mut lines = Vec::new();
        batch.iter().for_each(|entry| lines.extend_from_slice(&entry.line));
        let mut written = files.append(&lines);
        if written.is_ok() && batch.iter().any(|entry| entry.is_synced) {
            written = files.sync();
        }
        match &written {
            Err(error) if !is_failing => tracing::error!(%error, "audit records cannot be written"),
            Ok(()) if is_failing => tracing::info!("audit records are written again"),
            _ => {}
        }
        is_failing = written.is_err();
        for entry in batch.drain(..) {
            if let Some(waiting) = entry.written {
                // Whoever waited may have given up.
                let _ = waiting.send(written.is_ok());
            }
        }
    }
    if let Err(error) = files.sync() {
        tracing::error!(%error, "the last audit records may be lost");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use futures::future::join_all;

    use super::*;

    const BOUNDS: Bounds = Bounds { bytes: 1 << 20, files: 4 };

    #[tokio::test]
    async fn what_is_acknowledged_is_in_the_file_whole_and_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool::open(directory.path(), BOUNDS).unwrap();
        spool.note(&"first", false);
        let writes = (0..100).map(|n| {
            let spool = spool.clone();
            async move { spool.write(&n).await }
        });
        assert!(join_all(writes).await.into_iter().all(|written| written.is_ok()));
        let text = fs::read_to_string(directory.path().join("audit-00000001.jsonl")).unwrap();
        let expected: Vec<String> = (0..100).map(|n: i32| n.to_string()).collect();
        assert_eq!(text.lines().collect::<Vec<_>>(), [vec!["\"first\"".to_owned()], expected].concat());
    }

    #[tokio::test]
    async fn what_was_noted_is_there_after_a_flush() {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool::open(directory.path(), BOUNDS).unwrap();
        spool.note(&1, true);
        spool.note(&2, false);
        spool.flush().await.unwrap();
        let text = fs::read_to_string(directory.path().join("audit-00000001.jsonl")).unwrap();
        assert_eq!(text, "1\n2\n");
    }

    #[tokio::test]
    async fn a_directory_that_is_gone_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool::open(directory.path(), Bounds { bytes: 1, files: 2 }).unwrap();
        spool.write(&1).await.unwrap();
        drop(directory);
        assert_eq!(spool.write(&2).await, Err(Unwritten));
    }
}
