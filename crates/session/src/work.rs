//! The work item of a self-hosted session, which brings it a worker: the log tells which one it is.
//!
//! The item itself is a document. That it begins and ends in the log, in one append with its document, is what makes it
//! one at a time: whoever decides on the log sees whether there is one.

use wire::WorkId;
use wire::session::Status;

use crate::row::{Note, Row};
use crate::state::State;
use crate::writer::{Stamp, Writer};

/// The rows by which this item becomes the session's. `None` if it has one, or takes none.
pub fn queue_work(state: &State, work: WorkId, stamp: &mut dyn Stamp) -> Option<Vec<Row>> {
    if !state.is_self_hosted || state.work.is_some() || state.status == Status::Terminated {
        return None;
    }
    let mut writer = Writer::new(state, stamp);
    writer.note(state.primary, Note::WorkQueued { work });
    Some(writer.rows())
}

/// The rows by which the item ends. None if it is not the session's any more, or if the session has ended: nothing
/// follows an end.
pub fn end_work(state: &State, work: WorkId, stamp: &mut dyn Stamp) -> Vec<Row> {
    if state.work != Some(work) || state.status == Status::Terminated {
        return Vec::new();
    }
    let mut writer = Writer::new(state, stamp);
    writer.note(state.primary, Note::WorkEnded { work });
    writer.rows()
}
