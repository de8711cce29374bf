//! The log: dense, in order, compared with its head, and atomic.

use session::Visibility;
use wire::SessionId;
use wire::session::Status;

use super::fixture::{
    SESSION, THREAD, WORKSPACE, append, at, create, creation, document, join, message, positions, row, with_status,
};
use crate::{Append, Change, Document, Error, Kind, Lease, Read, Store};

pub(super) async fn rows_are_dense_and_stay_in_order(store: &dyn Store) {
    create(store, SESSION).await;
    let appended = store.append(append(SESSION, 1, vec![message(2), message(3)])).await.unwrap();
    assert_eq!(appended.head, 3, "the head is the position of the last row");
    let appended = store.append(append(SESSION, 3, Vec::new())).await.expect("an append may be empty");
    assert_eq!(appended.head, 3, "an empty append leaves the head");
    store.append(append(SESSION, 3, vec![message(4)])).await.unwrap();

    assert_eq!(positions(store, SESSION).await, [1, 2, 3, 4], "rows are dense from 1");
    for (after, limit, expected) in
        [(0, 2, vec![1, 2]), (2, 1, vec![3]), (2, 9, vec![3, 4]), (4, 9, vec![]), (1, 0, vec![])]
    {
        let rows = store.rows(SESSION, after, limit).await.unwrap();
        let found: Vec<u64> = rows.iter().map(|row| row.position).collect();
        assert_eq!(found, expected, "at most {limit} rows after {after}");
    }
}

pub(super) async fn rows_come_back_as_they_went_in(store: &dyn Store) {
    create(store, SESSION).await;
    let mut shown = message(2);
    shown.private = r#"{"of":"request"}"#.to_owned();
    shown.body = r#"{"type":"agent.message","content":[{"type":"text","text":"ünï\n\"code\" 🙂"}]}"#.into();
    let waiting = row(3, "user.message", Visibility::Waiting);
    let mut processes = row(4, "user.message", Visibility::Processes(3));
    processes.id = waiting.id;
    let mut private = row(5, "hand.provisioned", Visibility::Private);
    private.private = r#"{"note":"hand_provisioned","address":"here"}"#.to_owned();
    let rows = vec![shown, waiting, processes, private];
    store.append(append(SESSION, 1, rows.clone())).await.unwrap();
    assert_eq!(store.rows(SESSION, 1, 9).await.unwrap(), rows, "a row is read as it was written");
}

pub(super) async fn a_writer_that_has_not_seen_the_head_is_refused(store: &dyn Store) {
    create(store, SESSION).await;
    store.append(append(SESSION, 1, vec![message(2)])).await.unwrap();
    for (head, rows) in [(1, vec![message(2)]), (0, vec![message(1)]), (3, vec![message(4)]), (1, vec![])] {
        let refused = store.append(append(SESSION, head, rows)).await;
        assert_eq!(refused, Err(Error::Conflict { head: 2 }), "an append after {head} conflicts with a head of 2");
    }
    assert_eq!(positions(store, SESSION).await, [1, 2], "a conflict writes no row");
    let absent = store.append(append(SessionId::from_bits(99), 0, vec![message(1)])).await;
    assert_eq!(absent, Err(Error::NotFound), "there is nothing to append to");
}

pub(super) async fn rows_that_are_numbered_wrong_are_refused(store: &dyn Store) {
    create(store, SESSION).await;
    let law = "rows are numbered from the head on";
    for numbers in [vec![0], vec![1], vec![3], vec![1, 2], vec![2, 2], vec![2, 4]] {
        let rows = numbers.iter().copied().map(message).collect();
        let file = Change::Insert(document(Kind::File, "file_1"));
        let refused = store.append(Append { changes: vec![file], ..append(SESSION, 1, rows) }).await;
        assert!(matches!(refused, Err(Error::Failed(_))), "{law}: {numbers:?} after row 1 gave {refused:?}");
    }
    assert_eq!(positions(store, SESSION).await, [1], "{law}: there is a row");
    assert_eq!(store.head(SESSION).await.unwrap().head, 1, "{law}: the header has changed");
    assert_eq!(store.get(WORKSPACE, Kind::File, "file_1").await, Err(Error::NotFound), "{law}: there is a document");

    let other = SessionId::from_bits(5);
    let refused = store.create_session(WORKSPACE, Append { rows: vec![message(2)].into(), ..creation(other) }).await;
    assert!(matches!(refused, Err(Error::Failed(_))), "{law}, and from 1 at first: {refused:?}");
    assert_eq!(store.head(other).await, Err(Error::NotFound), "{law}, and from 1 at first: there is a header");
    assert!(positions(store, other).await.is_empty(), "{law}, and from 1 at first: there is a row");
}

pub(super) async fn an_append_and_its_changes_are_written_together_or_not_at_all(store: &dyn Store) {
    create(store, SESSION).await;
    join(store, &["brain"]).await;
    let file = document(Kind::File, "file_1");
    let absent = Document { version: 2, ..document(Kind::File, "file_2") };
    let refused = Append {
        lease: Lease::Claim { owner: "brain".into() },
        summary: with_status(Status::Running),
        runnable: true,
        changes: vec![Change::Insert(file.clone()), Change::Update(absent)],
        ..append(SESSION, 1, vec![message(2)])
    };
    let law = "an append with a change that is refused writes nothing";
    assert_eq!(store.append(refused).await, Err(Error::NotFound), "{law}: an absent document was updated");
    assert_eq!(positions(store, SESSION).await, [1], "{law}: there is a row");
    assert_eq!(store.get(WORKSPACE, Kind::File, "file_1").await, Err(Error::NotFound), "{law}: there is a document");
    let head = store.head(SESSION).await.unwrap();
    assert_eq!((head.head, head.epoch, head.runnable), (1, 0, false), "{law}: the header has changed");
    assert_eq!(head.summary.status, Status::Idle, "{law}: the summary has changed");

    let accepted = Append { changes: vec![Change::Insert(file)], ..append(SESSION, 1, vec![message(2)]) };
    store.append(accepted).await.unwrap();
    assert_eq!(positions(store, SESSION).await, [1, 2], "the row of an append is written");
    store.get(WORKSPACE, Kind::File, "file_1").await.expect("the change of an append is written");

    let conflict = Append {
        changes: vec![Change::Delete { workspace: WORKSPACE, kind: Kind::File, id: "file_1".into() }],
        ..append(SESSION, 1, vec![message(2)])
    };
    let law = "an append that conflicts changes no document";
    assert_eq!(store.append(conflict).await, Err(Error::Conflict { head: 2 }), "{law}: it does not conflict");
    store.get(WORKSPACE, Kind::File, "file_1").await.expect(law);
}

pub(super) async fn the_header_tells_of_the_last_append(store: &dyn Store) {
    create(store, SESSION).await;
    let mut summary = with_status(Status::Running);
    summary.running_since = Some(at(2));
    summary.updated_at = at(2);
    summary.active_ms = 1_500;
    summary.totals.tokens.input = 7;
    summary.thread = Some(THREAD);
    let working = Append { summary, runnable: true, ..append(SESSION, 1, vec![message(2)]) };
    store.append(working).await.unwrap();
    let head = store.head(SESSION).await.unwrap();
    assert_eq!(
        (head.workspace, head.head, head.epoch, head.runnable),
        (WORKSPACE, 2, 0, true),
        "the header is the last append's"
    );
    assert_eq!(head.summary, summary, "the summary is the last append's");
    let listed = store.get(WORKSPACE, Kind::Session, &SESSION.to_string()).await.unwrap();
    assert_eq!(listed.summary, Some(summary), "the document comes with the same summary");
}

pub(super) async fn heads_are_told_of_the_sessions_that_exist(store: &dyn Store) {
    let (other, absent) = (SessionId::from_bits(5), SessionId::from_bits(99));
    create(store, SESSION).await;
    create(store, other).await;
    store.append(append(SESSION, 1, vec![message(2), message(3)])).await.unwrap();
    let mut heads = store.heads(vec![other, absent, SESSION]).await.unwrap();
    heads.sort();
    assert_eq!(heads, [(SESSION, 3), (other, 1)], "the heads of those that were asked for and exist");
    assert_eq!(store.heads(vec![other]).await.unwrap(), [(other, 1)], "no others than were asked for");
    assert!(store.heads(Vec::new()).await.unwrap().is_empty(), "none if none were asked for");
}

pub(super) async fn a_session_is_made_once_and_whole(store: &dyn Store) {
    let taken = document(Kind::Session, &SESSION.to_string());
    store.apply(vec![Change::Insert(taken)]).await.unwrap();
    let refused = store.create_session(WORKSPACE, creation(SESSION)).await;
    assert!(refused.is_err(), "a session whose document cannot be written is not made");
    assert_eq!(store.head(SESSION).await, Err(Error::NotFound), "a session that was refused has no header");
    assert!(positions(store, SESSION).await.is_empty(), "a session that was refused has no rows");

    let other = SessionId::from_bits(5);
    let events = vec![row(1, "session.created", Visibility::Private), row(2, "user.message", Visibility::Waiting)];
    let with_events = Append { rows: events.into(), runnable: true, ..creation(other) };
    let appended = store.create_session(WORKSPACE, with_events).await.unwrap();
    assert_eq!((appended.head, appended.epoch), (2, 0), "a session may begin with events");
    assert!(store.create_session(WORKSPACE, creation(other)).await.is_err(), "a session is made once");
    assert_eq!(positions(store, other).await, [1, 2], "a second creation changes nothing");
    assert_eq!(store.runnable(9).await.unwrap(), [other], "a session that begins with work is runnable");
}

pub(super) async fn a_deleted_session_leaves_nothing(store: &dyn Store) {
    let other = SessionId::from_bits(5);
    create(store, SESSION).await;
    create(store, other).await;
    let file = |id: &str, session: SessionId| {
        Change::Insert(Document { parent: Some(session.to_string()), ..document(Kind::File, id) })
    };
    let work = |id: &str, session: SessionId| {
        Change::Insert(Document { refers: Some(session.to_string()), ..document(Kind::Work, id) })
    };
    let files = [file("file_1", SESSION), file("file_2", other), Change::Insert(document(Kind::File, "file_3"))];
    let changes = files.into_iter().chain([work("work_1", SESSION), work("work_2", other)]).collect();
    let working = Append { runnable: true, changes, ..append(SESSION, 1, vec![message(2)]) };
    store.append(working).await.unwrap();
    store.cover(SESSION, "key", 2).await.unwrap();
    assert_eq!(store.delete_session(SESSION).await, Err(Error::InUse), "a session with work to do is not deleted");
    assert_eq!(positions(store, SESSION).await, [1, 2], "a session that is not deleted keeps its rows");
    store.append(append(SESSION, 2, vec![row(3, "user.message", Visibility::Waiting)])).await.unwrap();
    store.delete_session(SESSION).await.unwrap();

    let law = "a deleted session leaves nothing";
    assert_eq!(store.head(SESSION).await, Err(Error::NotFound), "{law}: there is a header");
    assert!(positions(store, SESSION).await.is_empty(), "{law}: there are rows");
    let all = Read { limit: usize::MAX, ..Read::default() };
    assert!(store.list(SESSION, all).await.unwrap().is_empty(), "{law}: there are events");
    assert_eq!(store.covered(SESSION, "key").await.unwrap(), 0, "{law}: there is coverage");
    assert_eq!(store.first_input_after(SESSION, 0).await.unwrap(), None, "{law}: there are inputs");
    assert!(store.runnable(9).await.unwrap().is_empty(), "{law}: it is runnable");
    let id = SESSION.to_string();
    assert_eq!(store.get(WORKSPACE, Kind::Session, &id).await, Err(Error::NotFound), "{law}: there is a document");
    assert_eq!(store.get(WORKSPACE, Kind::File, "file_1").await, Err(Error::NotFound), "{law}: there is its file");
    assert_eq!(store.get(WORKSPACE, Kind::Work, "work_1").await, Err(Error::NotFound), "{law}: there is its work");
    assert_eq!(store.append(append(SESSION, 3, vec![message(4)])).await, Err(Error::NotFound), "{law}: it takes rows");
    assert_eq!(store.delete_session(SESSION).await, Err(Error::NotFound), "{law}: it can be deleted again");
    assert_eq!(positions(store, other).await, [1], "other sessions stay");
    store.get(WORKSPACE, Kind::File, "file_2").await.expect("files of other sessions stay");
    store.get(WORKSPACE, Kind::File, "file_3").await.expect("files of no session stay");
    store.get(WORKSPACE, Kind::Work, "work_2").await.expect("work of other sessions stays");
}
