//! Work items: what brings a session of a self-hosted environment its worker.
//!
//! An item is a document, an entry of its environment's queue, and the row of the session's log that names it. All three
//! are written by the append that makes the session need a worker, whosever append that is; and what ends the item is one
//! append too. So there is no moment at which a process could die and leave a session that waits for a worker without an
//! item, and nobody has to look for one. What may be left over is the queue's entry of an item that has ended: whoever
//! takes it sees so, and drops it.

mod record;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use session::{Entry, Note, Row, Stamp, State};
use store::{Change, Document, Error, Kind, Lease};
use wire::{Timestamp, WorkId};

use crate::live::{Live, Sessions, Write, WriteError};

pub use record::{Beat, By, Place, Record};

fn note(row: &Row) -> Option<&Note> {
    match &row.entry {
        Entry::Note(note) => Some(note),
        _ => None,
    }
}

/// Whether the rows give the session a work item.
pub(crate) fn queues(rows: &[Row]) -> bool {
    rows.iter().any(|row| matches!(note(row), Some(Note::WorkQueued { .. })))
}

fn ends(rows: &[Row]) -> bool {
    rows.iter().any(|row| matches!(note(row), Some(Note::WorkEnded { .. })))
}

/// The state with the rows, if it wants a worker then and has no item that brings one.
fn wanting(state: &State, rows: &[Row]) -> Option<State> {
    let mut next = state.clone();
    rows.iter().for_each(|row| next.fold(row));
    (next.work.is_none() && next.needs_worker()).then_some(next)
}

impl Sessions {
    /// Adds an item to what is to be written, if the session needs a worker after that and has no item. What ends an item
    /// decides for itself whether another follows.
    pub(crate) fn want_worker<T>(
        &self,
        live: &Live,
        state: &State,
        write: &mut Write<T>,
        stamp: &mut dyn Stamp,
    ) -> store::Result<()> {
        if !state.is_self_hosted || state.work.is_some() || write.rows.is_empty() || ends(&write.rows) {
            return Ok(());
        }
        let Some(next) = wanting(state, &write.rows) else { return Ok(()) };
        self.queue_work(live, &next, 0, write, stamp)
    }

    fn queue_work<T>(
        &self,
        live: &Live,
        state: &State,
        failures: u32,
        write: &mut Write<T>,
        stamp: &mut dyn Stamp,
    ) -> store::Result<()> {
        let id = WorkId::from_bits(self.rng.bits());
        let Some(rows) = session::queue_work(state, id, stamp) else { return Ok(()) };
        let record = Record::new(id, live.record().environment_id, live.id, failures, stamp.now());
        write.changes.extend(record.begins(live.workspace)?);
        write.rows.extend(rows);
        Ok(())
    }

    /// Ends an item: `ended` is what its document, as it was read, becomes; `also` is written with that. Another item
    /// takes its place if the session still needs a worker, unless the operator has asked for the end. `Stale` if the
    /// document has changed since.
    pub async fn end_work(
        &self,
        live: &Arc<Live>,
        document: &Document,
        ended: &Record,
        also: impl Fn(Timestamp) -> Vec<Change> + Send,
    ) -> store::Result<()> {
        let decide = move |state: &State, stamp: &mut dyn Stamp| {
            let now = stamp.now();
            let rows = session::end_work(state, ended.work.id, stamp);
            let mut changes = also(now);
            changes.push(Change::Update(ended.over(document, now)?));
            let mut write = Write { rows, lease: Lease::None, changes, value: () };
            // An item that is not the session's any more has nothing that could follow it.
            if !ended.is_held
                && ends(&write.rows)
                && let Some(next) = wanting(state, &write.rows)
            {
                self.queue_work(live, &next, ended.failures_after(now), &mut write, stamp)?;
            }
            Ok::<_, Error>(write)
        };
        match self.write(live, decide).await {
            Ok(_) => Ok(()),
            Err(WriteError::Refused(error) | WriteError::Store(error)) => Err(error),
        }
    }

    /// Ends the item of a session that has ended. If this is not done, whoever is given the item next does it.
    pub async fn drop_work(&self, live: &Arc<Live>) -> store::Result<()> {
        let Some(id) = self.state(live, |state| state.work).await else { return Ok(()) };
        loop {
            let document = match self.store.get(live.workspace, Kind::Work, &id.to_string()).await {
                Ok(listed) => listed.document,
                Err(Error::NotFound) => return Ok(()),
                Err(error) => return Err(error),
            };
            let record: Record =
                serde_json::from_str(&document.body).map_err(|error| Error::Failed(error.to_string()))?;
            let Some(ended) = record.stopped(true, By::Operator, self.clock.now()) else { return Ok(()) };
            match self.end_work(live, &document, &ended, |_| Vec::new()).await {
                Err(Error::Stale { .. }) => {}
                done => return done,
            }
        }
    }

    /// Resolves once an item has been queued in this process. Other nodes' are found by looking.
    pub fn work_queued(&self) -> impl Future<Output = ()> + Send {
        self.queued.notified()
    }

    /// An item has been queued otherwise than by [`Self::write`], with a new session.
    pub fn tell_work(&self) {
        self.queued.notify_waiters();
    }
}
