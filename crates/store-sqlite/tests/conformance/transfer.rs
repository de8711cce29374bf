//! What is exported in parts of any size is all there is, and imports as what it was.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use session::{Stored, Summary, Visibility};
use store::{
    Answer, Append, Attempt, Blobs, Catalog, Change, Document, Error, Item, Kind, Lease, Node, Nodes, Queue, Record,
    SessionLog, Snapshot, Transfer,
};
use store_sqlite::SqliteStore;
use wire::{EventId, SessionId, ThreadId, Timestamp, WorkspaceId};

use super::open;

const WORKSPACES: [WorkspaceId; 2] = [WorkspaceId::from_bits(1), WorkspaceId::from_bits(2)];
const SESSIONS: [SessionId; 2] = [SessionId::from_bits(3), SessionId::from_bits(4)];
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn row(position: u64, visibility: Visibility) -> Stored {
    let body = match visibility {
        Visibility::Shown | Visibility::Waiting => r#"{"type":"user.message"}"#,
        Visibility::Private | Visibility::Processes(_) => "",
    };
    Stored {
        position,
        id: EventId::from_bits(u128::from(position)),
        thread: ThreadId::from_bits(5),
        at: NOW,
        kind: "user.message".to_owned(),
        visibility,
        body: body.into(),
        private: String::new(),
    }
}

fn append(session: SessionId, head: u64, rows: Vec<Stored>) -> Append {
    Append {
        session,
        expected_head: head,
        lease: Lease::None,
        rows: rows.into(),
        summary: Summary::default(),
        runnable: true,
        changes: Vec::new(),
    }
}

async fn fill(store: &SqliteStore) {
    // A name may be empty: it comes first, and is not passed over.
    for name in ["", "key", "other"] {
        store.set(name, "value").await.unwrap();
    }
    for session in SESSIONS {
        let document = Document::new(WORKSPACES[0], Kind::Session, session, NOW, "{}".to_owned());
        let first = vec![row(1, Visibility::Private), row(2, Visibility::Waiting)];
        let creation = Append { changes: vec![Change::Insert(document)], ..append(session, 0, first) };
        store.create_session(WORKSPACES[0], creation).await.unwrap();
        let second = vec![row(3, Visibility::Processes(2)), row(4, Visibility::Waiting)];
        store.append(append(session, 2, second)).await.unwrap();
        store.cover(session, "one", 2).await.unwrap();
        store.cover(session, "two", 4).await.unwrap();
    }
    for workspace in WORKSPACES {
        let agent = Document::new(workspace, Kind::Agent, "agent", NOW, r#"{"name":"ünï"}"#.to_owned());
        let answer = Answer {
            workspace,
            name: "request".to_owned(),
            fingerprint: "body".to_owned(),
            attempt: Attempt::first("attempt".to_owned(), None),
            status: 201,
            body: "{}".to_owned(),
            at: NOW,
            expires_at: NOW.plus_millis(1),
            subject: Some(SESSIONS[0]),
        };
        let item = Item { queue: "queue".to_owned(), id: workspace.to_string(), due_at: NOW, body: "body".to_owned() };
        let changes = vec![Change::Insert(agent), Change::Remember(answer), Change::Enqueue(item)];
        store.apply(changes).await.unwrap();
        for bytes in ["one", "two", "three"] {
            let bytes = futures::stream::iter([Ok(Bytes::from(bytes))]).boxed();
            store.put(workspace, bytes).await.unwrap();
        }
    }
}

async fn export(store: &SqliteStore, limit: usize) -> Vec<Record> {
    let (mut records, mut after) = (Vec::new(), None);
    loop {
        let part = store.part(after, limit).await.unwrap();
        assert!(part.records.len() <= limit, "a part has at most {limit} records");
        records.extend(part.records);
        after = part.next;
        if after.is_none() {
            return records;
        }
    }
}

#[tokio::test]
async fn parts_of_any_size_make_up_the_same_whole() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    assert!(store.is_empty().await.unwrap());
    fill(&store).await;
    assert!(!store.is_empty().await.unwrap());
    let whole = export(&store, 1_000).await;
    // Settings, documents, then each session with rows and coverage, answers, items and blobs.
    assert_eq!(whole.len(), 3 + 4 + 2 * (1 + 4 + 2) + 2 + 2 + 6);
    for limit in [1, 2, 3, 7] {
        assert_eq!(export(&store, limit).await, whole, "in parts of {limit}");
    }
}

#[tokio::test]
async fn what_is_imported_is_what_was_exported() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (from, to) = (open(from.path()), open(to.path()));
    fill(&from).await;
    let records = export(&from, 3).await;
    for part in records.chunks(3) {
        to.import(part.to_vec()).await.unwrap();
    }
    let blob = |record: &Record| matches!(record, Record::Blob { .. });
    let expected: Vec<Record> = records.iter().filter(|record| !blob(record)).cloned().collect();
    assert_eq!(export(&to, 3).await, expected, "all but the blobs, whose bytes come by themselves");
    for session in SESSIONS {
        let all = || store::Read { limit: 9, ..store::Read::default() };
        assert_eq!(to.list(session, all()).await, from.list(session, all()).await, "what waits waits still");
    }
    let taken = to.take("queue", 9, Duration::ZERO).await.unwrap();
    assert_eq!(taken.len(), 2, "what was to be done is to be done");
}

#[tokio::test]
async fn leases_nodes_and_snapshots_stay_behind() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (from, to) = (open(from.path()), open(to.path()));
    fill(&from).await;
    let node = Node {
        id: "node".to_owned(),
        directory: "directory".to_owned(),
        machine: "machine".to_owned(),
        path: "/data".to_owned(),
        address: None,
    };
    from.join(node, Duration::from_secs(60)).await.unwrap();
    let claim = Append { lease: Lease::Claim { owner: "node".to_owned() }, ..append(SESSIONS[0], 4, Vec::new()) };
    from.append(claim).await.unwrap();
    let snapshot = Snapshot { position: 4, format: 1, body: "{}".to_owned() };
    from.keep_snapshot(SESSIONS[0], snapshot).await.unwrap();

    to.import(export(&from, 1_000).await).await.unwrap();
    assert_eq!(to.nodes().await, Ok(Vec::new()));
    assert_eq!(to.snapshot(SESSIONS[0]).await, Ok(None));
    let mut runnable = to.runnable(9).await.unwrap();
    runnable.sort();
    assert_eq!(runnable, SESSIONS, "the lease is free");
    assert_eq!(to.head(SESSIONS[0]).await.unwrap().epoch, 1, "and its epoch goes on");
}

#[tokio::test]
async fn rows_out_of_order_are_not_imported() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (from, to) = (open(from.path()), open(to.path()));
    fill(&from).await;
    let records = export(&from, 1_000).await;
    let is_row = |record: &&Record| matches!(record, Record::Row { session, .. } if *session == SESSIONS[0]);
    let header = records.iter().find(|record| matches!(record, Record::Session { .. })).cloned().unwrap();
    let rows: Vec<Record> = records.iter().filter(is_row).cloned().collect();
    let refused = [
        vec![rows[0].clone()],
        vec![header.clone(), rows[1].clone()],
        vec![header.clone(), rows[0].clone(), rows[2].clone()],
    ];
    for records in refused {
        assert!(matches!(to.import(records).await, Err(Error::Failed(_))));
        assert!(to.is_empty().await.unwrap(), "none of the records is written");
    }
    to.import(vec![header, rows[0].clone()]).await.unwrap();
    to.import(rows[1..].to_vec()).await.unwrap();
    assert_eq!(to.rows(SESSIONS[0], 0, 9).await, from.rows(SESSIONS[0], 0, 9).await);
}
