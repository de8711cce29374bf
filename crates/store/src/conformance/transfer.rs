//! Moving everything from one store to another.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use session::{Summary, Visibility};
use wire::SessionId;
use wire::session::Status;

use super::fixture::{
    ELSEWHERE, FAR, LONG, QUEUE, SESSION, THREAD, WORKSPACE, answer, append, at, claim, create, document, item, join,
    message, positions, row, with_status,
};
use crate::{Append, Appended, BlobId, Change, Document, Error, Item, Kind, Lease, Read, Record, Snapshot, Store};

/// More than any export here has.
const PARTS: usize = 200;

async fn exported(store: &dyn Store, limit: usize) -> Vec<Record> {
    let mut records = Vec::new();
    let mut after = None;
    for _ in 0..PARTS {
        let part = store.part(after, limit).await.expect("a store can be exported");
        assert!(part.records.len() <= limit, "a part has at most {limit} records");
        records.extend(part.records);
        after = part.next;
        if after.is_none() {
            return records;
        }
    }
    panic!("an export comes to its end");
}

fn sorted(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_by_cached_key(|record| serde_json::to_string(record).expect("a record is JSON"));
    records
}

/// Whoever reads an export need not search in it: what belongs to a session comes right after it.
fn assert_in_order(records: &[Record]) {
    let mut last: Option<(SessionId, u64)> = None;
    for record in records {
        match record {
            Record::Session { session, .. } => last = Some((*session, 0)),
            Record::Row { session, row } => {
                let expected = last.map(|(session, head)| (session, head + 1));
                last = Some((*session, row.position));
                assert_eq!(last, expected, "rows come in order, right after their session");
            }
            Record::Covered { session, .. } => {
                assert_eq!(last.map(|(last, _)| last), Some(*session), "coverage comes after its session");
            }
            _ => {}
        }
    }
}

async fn put(store: &dyn Store) -> BlobId {
    let bytes = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"abc"))]).boxed();
    store.put(WORKSPACE, bytes).await.expect("a blob can be put").0
}

/// Puts something of everything in the store. Gives what its export must have, but for rows and what [`create`] writes.
async fn furnish(store: &dyn Store) -> Vec<Record> {
    join(store, &["one"]).await;
    create(store, SESSION).await;
    create(store, SessionId::from_bits(5)).await;
    let environment = Document { archived_at: Some(at(7)), version: 3, ..document(Kind::Environment, "env_1") };
    let parent = Some("sesn".to_owned());
    let file = Document { parent, refers: Some("env_1".into()), ..document(Kind::File, "file_1") };
    let agent = Document { workspace: ELSEWHERE, ..document(Kind::Agent, "agent_1") };
    let documents = [environment, file, agent];
    let answer = answer("name", "body", 1);
    let items = [item("due", 1), Item { due_at: FAR, ..item("later", 1) }];
    let mut rows = vec![
        row(2, "user.message", Visibility::Waiting),
        row(3, "user.message", Visibility::Processes(2)),
        message(4),
        row(5, "user.message", Visibility::Waiting),
    ];
    rows[1].id = rows[0].id;
    rows[2].private = r#"{"of":"request"}"#.to_owned();
    let summary = Summary { active_ms: 1_500, thread: Some(THREAD), ..with_status(Status::Running) };
    let mut changes: Vec<Change> = documents.iter().cloned().map(Change::Insert).collect();
    changes.push(Change::Remember(answer.clone()));
    changes.extend(items.iter().cloned().map(Change::Enqueue));
    let lease = Lease::Claim { owner: "one".into() };
    store.append(Append { lease, summary, runnable: true, changes, ..append(SESSION, 1, rows) }).await.unwrap();
    store.cover(SESSION, "key", 5).await.unwrap();
    store.keep_snapshot(SESSION, Snapshot { position: 4, format: 1, body: "{}".into() }).await.unwrap();
    store.set("name", "value").await.unwrap();
    let blob = put(store).await;

    let mut records: Vec<Record> = documents.into_iter().map(Record::Document).collect();
    records.extend(items.into_iter().map(Record::Item));
    records.extend([
        Record::Session { session: SESSION, workspace: WORKSPACE, head: 5, epoch: 1, runnable: true, summary },
        Record::Covered { session: SESSION, key: "key".into(), position: 5 },
        Record::Answer(answer),
        Record::Setting { name: "name".into(), value: "value".into() },
        Record::Blob { workspace: WORKSPACE, id: blob.0, size: 3 },
    ]);
    records
}

pub(super) async fn what_is_exported_can_be_imported(source: &dyn Store, target: &dyn Store) {
    let expected = furnish(source).await;
    let records = exported(source, 1_000).await;
    assert_in_order(&records);
    for record in &expected {
        assert!(records.contains(record), "an export has {record:?}");
    }
    // Two documents, one header and six rows of the sessions come on top.
    assert_eq!(records.len(), expected.len() + 9, "an export has everything once, and nothing that can be computed");
    let in_small_parts = exported(source, 3).await;
    assert_in_order(&in_small_parts);
    assert_eq!(sorted(in_small_parts), sorted(records.clone()), "parts of any size make up the whole");

    put(target).await;
    let (first, rest) = records.split_at(records.len() / 2);
    target.import(first.to_vec()).await.expect("an export can be imported");
    target.import(rest.to_vec()).await.expect("an export can be imported part by part");
    assert_eq!(sorted(exported(target, 1_000).await), sorted(records), "an import has the same records");

    let all = Read { limit: usize::MAX, ..Read::default() };
    let id = SESSION.to_string();
    assert_eq!(target.head(SESSION).await, source.head(SESSION).await, "an import has the same headers");
    assert_eq!(target.rows(SESSION, 0, 9).await, source.rows(SESSION, 0, 9).await, "an import has the same rows");
    assert_eq!(target.list(SESSION, all.clone()).await, source.list(SESSION, all).await, "clients see the same events");
    assert_eq!(target.first_input_after(SESSION, 2).await, Ok(Some(5)), "the same inputs wait");
    assert_eq!(target.covered(SESSION, "key").await, Ok(5), "clients have seen the same inputs");
    let listed = target.get(WORKSPACE, Kind::Session, &id).await;
    assert_eq!(listed, source.get(WORKSPACE, Kind::Session, &id).await, "documents come with the same summaries");
    assert_eq!(target.snapshot(SESSION).await, Ok(None), "snapshots do not come along");
    assert_eq!(target.nodes().await, Ok(Vec::new()), "nodes do not come along");
    assert_eq!(target.runnable(9).await, Ok(vec![SESSION]), "work comes along, and leases do not");
    let again = target.apply(vec![Change::Remember(answer("name", "again", 2))]).await;
    assert_eq!(again, Err(Error::Exists), "answers stand as they did");
    let taken = target.take(QUEUE, 9, LONG).await.unwrap();
    let taken: Vec<&str> = taken.iter().map(|taken| &*taken.item.id).collect();
    assert_eq!(taken, ["due"], "the same items are due");
    join(target, &["heir"]).await;
    let claimed = target.append(claim(SESSION, 5, "heir")).await;
    assert_eq!(claimed, Ok(Appended { head: 5, epoch: 2 }), "the epoch goes on from where it was");
    assert_eq!(target.faults().await, Ok(Vec::new()), "a store that is whole has no faults");
}

pub(super) async fn a_store_is_empty_until_something_is_in_it(store: &dyn Store) {
    assert_eq!(store.is_empty().await, Ok(true), "a new store is empty");
    assert!(exported(store, 9).await.is_empty(), "an empty store exports nothing");
    join(store, &["one"]).await;
    assert_eq!(store.is_empty().await, Ok(true), "a node is nothing that a store keeps");
    let blob = Record::Blob { workspace: WORKSPACE, id: "ab".repeat(32), size: 3 };
    store.import(vec![blob]).await.expect("a blob's record is passed over");
    assert_eq!(store.is_empty().await, Ok(true), "the bytes of a blob come by themselves");

    store.apply(vec![Change::Insert(document(Kind::File, "file_1"))]).await.unwrap();
    assert_eq!(store.is_empty().await, Ok(false), "there is a document");
    let delete = Change::Delete { workspace: WORKSPACE, kind: Kind::File, id: "file_1".into() };
    store.apply(vec![delete, Change::Enqueue(item("id", 1))]).await.unwrap();
    assert_eq!(store.is_empty().await, Ok(false), "there is an item");
    store.take(QUEUE, 1, LONG).await.unwrap();
    store.finish(QUEUE, "id", 1).await.unwrap();
    store.apply(vec![Change::Remember(answer("name", "body", 1))]).await.unwrap();
    assert_eq!(store.is_empty().await, Ok(false), "there is an answer");
    store.forget_answers(FAR).await.unwrap();
    store.create_session(WORKSPACE, append(SESSION, 0, vec![message(1)])).await.unwrap();
    assert_eq!(store.is_empty().await, Ok(false), "there is a session, though without a document");
    store.delete_session(SESSION).await.unwrap();
    assert_eq!(store.is_empty().await, Ok(true), "everything is gone again");
    store.set("name", "value").await.unwrap();
    assert_eq!(store.is_empty().await, Ok(false), "there is a setting");
}

pub(super) async fn records_are_imported_together_or_not_at_all(store: &dyn Store) {
    let row = |position: u64| Record::Row { session: SESSION, row: message(position) };
    let begun = |second: u64| {
        let (workspace, summary) = (WORKSPACE, with_status(Status::Idle));
        vec![
            Record::Document(document(Kind::Session, &SESSION.to_string())),
            Record::Answer(answer("name", "body", 1)),
            Record::Item(item("id", 1)),
            Record::Setting { name: "name".into(), value: "value".into() },
            Record::Session { session: SESSION, workspace, head: 3, epoch: 7, runnable: false, summary },
            row(1),
            row(second),
        ]
    };
    let law = "records of which one is refused change nothing";
    for second in [1, 3] {
        let refused = store.import(begun(second)).await;
        assert!(matches!(refused, Err(Error::Failed(_))), "row {second} does not follow on row 1: {refused:?}");
        assert_eq!(store.is_empty().await, Ok(true), "{law}: there is something");
    }
    assert_eq!(store.head(SESSION).await, Err(Error::NotFound), "{law}: there is a session");

    store.import(begun(2)).await.expect("nothing of what was refused stands in the way");
    for position in [2, 4] {
        let refused = store.import(vec![row(position)]).await;
        assert!(matches!(refused, Err(Error::Failed(_))), "row {position} does not follow on row 2: {refused:?}");
    }
    store.import(vec![row(3)]).await.expect("the rows of a session may come in two parts");
    assert_eq!(positions(store, SESSION).await, [1, 2, 3], "the rows are those of the parts that were not refused");
    let head = store.head(SESSION).await.unwrap();
    assert_eq!((head.head, head.epoch), (3, 7), "the header is as it was exported");
}
