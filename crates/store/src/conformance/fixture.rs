//! Sessions, rows and documents for the cases.

use std::sync::Arc;

use session::{Stored, Summary, Visibility};
use wire::session::Status;
use wire::{EventId, SessionId, ThreadId, Timestamp, WorkspaceId};

use crate::{Append, Change, Document, Kind, Lease, Store};

pub(super) const WORKSPACE: WorkspaceId = WorkspaceId::from_bits(1);
pub(super) const ELSEWHERE: WorkspaceId = WorkspaceId::from_bits(2);
pub(super) const THREAD: ThreadId = ThreadId::from_bits(3);
pub(super) const SESSION: SessionId = SessionId::from_bits(4);

pub(super) fn at(second: u64) -> Timestamp {
    Timestamp::from_millis(0).plus_millis(second * 1_000)
}

/// A row that is written at the second that its position says.
pub(super) fn row(position: u64, kind: &str, visibility: Visibility) -> Stored {
    let body = match visibility {
        Visibility::Shown | Visibility::Waiting => format!(r#"{{"type":"{kind}","at":{position}}}"#),
        Visibility::Private | Visibility::Processes(_) => String::new(),
    };
    Stored {
        position,
        id: EventId::from_bits(u128::from(position)),
        thread: THREAD,
        at: at(position),
        kind: kind.to_owned(),
        visibility,
        body: Arc::from(body),
        private: String::new(),
    }
}

pub(super) fn message(position: u64) -> Stored {
    row(position, "agent.message", Visibility::Shown)
}

/// An append of these rows after `head`, by a client.
pub(super) fn append(session: SessionId, head: u64, rows: Vec<Stored>) -> Append {
    Append {
        session,
        expected_head: head,
        lease: Lease::None,
        rows: rows.into(),
        summary: Summary::default(),
        runnable: false,
        changes: Vec::new(),
    }
}

pub(super) fn with_status(status: Status) -> Summary {
    Summary { status, ..Summary::default() }
}

pub(super) fn document(kind: Kind, id: &str) -> Document {
    Document {
        workspace: WORKSPACE,
        kind,
        id: id.to_owned(),
        created_at: at(1),
        updated_at: at(1),
        archived_at: None,
        version: 1,
        parent: None,
        refers: None,
        body: format!(r#"{{"id":"{id}"}}"#),
    }
}

/// What makes a session: its document, and one private row.
pub(super) fn creation(session: SessionId) -> Append {
    let first = row(1, "session.created", Visibility::Private);
    let document = document(Kind::Session, &session.to_string());
    Append { changes: vec![Change::Insert(document)], ..append(session, 0, vec![first]) }
}

pub(super) async fn create(store: &dyn Store, session: SessionId) {
    let appended = store.create_session(WORKSPACE, creation(session)).await.expect("a session can be made");
    assert_eq!((appended.head, appended.epoch), (1, 0), "a new session has one row and no epoch");
}

/// All positions of the session's rows, as the store gives them.
pub(super) async fn positions(store: &dyn Store, session: SessionId) -> Vec<u64> {
    let rows = store.rows(session, 0, usize::MAX).await.expect("rows can be read");
    rows.iter().map(|row| row.position).collect()
}
