//! The reference store, in memory: plain maps behind one lock, so that it reads like the law.
//!
//! For tests and the simulation. Every call is one critical section: what a call sees, it sees whole, and what it refuses
//! has left no trace.

mod blobs;
mod catalog;
mod log;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use session::Summary;
use wire::{SessionId, WorkspaceId};

use crate::{BlobId, Clock, Document, Error, Kind, Listed};

/// Forgets everything when it is dropped.
pub struct Volatile {
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    documents: catalog::Documents,
    logs: BTreeMap<SessionId, log::Log>,
    settings: BTreeMap<String, String>,
    blobs: HashMap<(WorkspaceId, BlobId), Bytes>,
}

impl Volatile {
    /// The clock is not asked yet: rows and documents bring their times along, and no lease runs out by itself.
    pub fn new(_clock: Arc<dyn Clock>) -> Self {
        Self { memory: Mutex::new(Memory::default()) }
    }
}

impl Memory {
    /// Only sessions have a log, and with it a summary.
    fn summary(&self, document: &Document) -> Option<Summary> {
        if document.kind != Kind::Session {
            return None;
        }
        let id: SessionId = document.id.parse().ok()?;
        self.logs.get(&id).map(log::Log::summary)
    }

    fn listed(&self, document: &Document) -> Listed {
        Listed { document: document.clone(), summary: self.summary(document) }
    }
}

fn failed(reason: impl std::fmt::Display) -> Error {
    Error::Failed(reason.to_string())
}
