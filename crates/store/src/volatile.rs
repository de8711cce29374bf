//! The reference store, in memory: plain maps behind one lock, so that it reads like the law.
//!
//! For tests and the simulation. Every call is one critical section: what a call sees, it sees whole, and what it
//! refuses has left no trace.

mod answers;
mod blobs;
mod catalog;
mod changes;
mod log;
mod nodes;
mod queue;
#[cfg(test)]
mod tests;
mod transfer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use session::Summary;
use wire::{SessionId, Timestamp, WorkspaceId};

use crate::{Clock, Document, Error, Kind, Listed};

/// Forgets everything when it is dropped.
pub struct Volatile {
    clock: Arc<dyn Clock>,
    memory: Mutex<Memory>,
}

#[derive(Clone, Default)]
struct Memory {
    kept: changes::Kept,
    logs: BTreeMap<SessionId, log::Log>,
    nodes: nodes::Registered,
    settings: BTreeMap<String, String>,
    blobs: BTreeMap<(WorkspaceId, String), Bytes>,
}

impl Volatile {
    /// The clock is the store's own: it says when nodes have expired and what is due.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, memory: Mutex::new(Memory::default()) }
    }
}

impl Memory {
    /// Only sessions have a log, and with it a summary.
    fn summary(&self, document: &Document) -> Option<Summary> {
        if document.kind != Kind::Session {
            return None;
        }
        let id: SessionId = document.id.parse().ok()?;
        self.logs.get(&id).map(|log| log.summary)
    }

    fn listed(&self, document: &Document) -> Listed {
        Listed { document: document.clone(), summary: self.summary(document) }
    }
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.plus_millis(u64::try_from(by.as_millis()).unwrap_or(u64::MAX))
}

fn failed(reason: impl std::fmt::Display) -> Error {
    Error::Failed(reason.to_string())
}
