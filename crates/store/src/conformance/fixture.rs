//! Sessions, rows, documents and nodes for the cases.

use std::sync::Arc;
use std::time::Duration;

use session::{Stored, Summary, Visibility};
use wire::session::Status;
use wire::{EventId, SessionId, ThreadId, Timestamp, WorkspaceId};

use crate::{Answer, Append, Attempt, Change, Document, Item, Kind, Lease, Node, Store};

pub(super) const WORKSPACE: WorkspaceId = WorkspaceId::from_bits(1);
pub(super) const ELSEWHERE: WorkspaceId = WorkspaceId::from_bits(2);
pub(super) const THREAD: ThreadId = ThreadId::from_bits(3);
pub(super) const SESSION: SessionId = SessionId::from_bits(4);
pub(super) const QUEUE: &str = "queue";

/// Longer than any case takes.
pub(super) const LONG: Duration = Duration::from_secs(3_600);

/// Over at once. Stores go by clocks of their own, which no case can set: whatever needs a time to be over waits.
pub(super) const BRIEF: Duration = Duration::from_millis(1);

/// How often a case looks whether a time is over, and how long it waits in between.
pub(super) const LOOKS: u32 = 1_000;
pub(super) const PAUSE: Duration = Duration::from_millis(5);

/// Beyond the time of any store's clock: in the year 2100.
pub(super) const FAR: Timestamp = Timestamp::from_millis(4_102_444_800_000);

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

/// A brain's claim, of a session that it will have to work on.
pub(super) fn claim(session: SessionId, head: u64, owner: &str) -> Append {
    Append { lease: Lease::Claim { owner: owner.into() }, runnable: true, ..append(session, head, Vec::new()) }
}

pub(super) fn hold(head: u64, epoch: u64) -> Append {
    Append { lease: Lease::Hold { epoch }, runnable: true, ..append(SESSION, head, vec![message(head + 1)]) }
}

pub(super) fn release(head: u64, epoch: u64) -> Append {
    Append { lease: Lease::Release { epoch }, ..append(SESSION, head, vec![message(head + 1)]) }
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

pub(super) fn node(id: &str, directory: &str) -> Node {
    Node {
        id: id.to_owned(),
        directory: directory.to_owned(),
        machine: "machine".into(),
        path: format!("/data/{directory}"),
        address: Some("127.0.0.1:7070".into()),
    }
}

/// Makes nodes that live for longer than the case, each with a directory of its own.
pub(super) async fn join(store: &dyn Store, ids: &[&str]) {
    for id in ids {
        store.join(node(id, &format!("directory of {id}")), LONG).await.expect("a node whose id is new can join");
    }
}

/// Ends the time of a node that lives.
pub(super) async fn expire(store: &dyn Store, id: &str) {
    store.beat(id, BRIEF).await.expect("a node that lives may beat");
    for _ in 0..LOOKS {
        let nodes = store.nodes().await.expect("nodes can be listed");
        if nodes.iter().any(|known| known.node.id == id && known.is_expired) {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("the time of a node that does not beat is over some day, and nodes tells so");
}

/// An answer that is remembered for ten seconds, to a repetition that found none.
pub(super) fn answer(name: &str, body: &str, second: u64) -> Answer {
    Answer {
        workspace: WORKSPACE,
        name: name.to_owned(),
        fingerprint: format!("of {name}"),
        attempt: Attempt::again(format!("{body} at {second}"), None),
        status: 200,
        body: body.to_owned(),
        at: at(second),
        expires_at: at(second + 10),
        subject: None,
    }
}

/// An item that has been due since that second of the year 1970.
pub(super) fn item(id: &str, second: u64) -> Item {
    Item { queue: QUEUE.to_owned(), id: id.to_owned(), due_at: at(second), body: format!("the body of {id}") }
}

/// All positions of the session's rows, as the store gives them.
pub(super) async fn positions(store: &dyn Store, session: SessionId) -> Vec<u64> {
    let rows = store.rows(session, 0, usize::MAX).await.expect("rows can be read");
    rows.iter().map(|row| row.position).collect()
}
