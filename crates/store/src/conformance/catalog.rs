//! Lists of documents: their order, their pages, their filters.

use wire::SessionId;
use wire::session::Status;

use super::fixture::{SESSION, WORKSPACE, append, at, create, document, with_status};
use crate::{Append, Change, Document, Filter, Kind, Listed, Order, Query, Store};

fn query(filter: Filter) -> Query {
    Query { workspace: WORKSPACE, kind: Kind::File, filter, order: Order::OldestFirst, after: None, limit: usize::MAX }
}

async fn ids(store: &dyn Store, query: Query) -> Vec<String> {
    let found = store.query(query).await.expect("documents can be listed");
    found.into_iter().map(|listed| listed.document.id).collect()
}

/// Files, of which some were made in the same instant. Inserted in an order that is neither of the lists'.
async fn shelve(store: &dyn Store) {
    let files = [("c", 2), ("a", 1), ("e", 3), ("b", 2), ("d", 2)];
    let file = |(id, second)| Document { created_at: at(second), ..document(Kind::File, id) };
    store.apply(files.map(file).map(Change::Insert).into()).await.unwrap();
}

pub(super) async fn pages_in_either_order_make_up_the_whole(store: &dyn Store) {
    shelve(store).await;
    let oldest_first = ["a", "b", "c", "d", "e"];
    let mut newest_first = oldest_first;
    newest_first.reverse();
    for (order, whole) in [(Order::OldestFirst, oldest_first), (Order::NewestFirst, newest_first)] {
        for limit in 1..=whole.len() + 1 {
            let mut paged: Vec<Listed> = Vec::new();
            loop {
                let after = paged.last().map(|last| (last.document.created_at, last.document.id.clone()));
                let query = Query { order, after, limit, ..query(Filter::default()) };
                let page = store.query(query).await.unwrap();
                assert!(page.len() <= limit, "a page holds at most {limit} documents");
                if page.is_empty() {
                    break;
                }
                paged.extend(page);
            }
            let paged: Vec<&str> = paged.iter().map(|listed| listed.document.id.as_str()).collect();
            assert_eq!(paged, whole, "{order:?}: pages of {limit} make up the whole, by time and then by id");
        }
    }
}

pub(super) async fn documents_are_filtered_by_parent_time_and_archiving(store: &dyn Store) {
    shelve(store).await;
    let archived = Document { version: 2, archived_at: Some(at(9)), created_at: at(2), ..document(Kind::File, "b") };
    let of_session =
        Document { version: 2, parent: Some("sesn".into()), created_at: at(2), ..document(Kind::File, "c") };
    store.apply(vec![Change::Update(archived), Change::Update(of_session)]).await.unwrap();
    let cases = [
        ("nothing, which leaves the archived out", Filter::default(), vec!["a", "c", "d", "e"]),
        (
            "nothing, with the archived",
            Filter { include_archived: true, ..Filter::default() },
            vec!["a", "b", "c", "d", "e"],
        ),
        ("parent", Filter { parent: Some("sesn".into()), ..Filter::default() }, vec!["c"]),
        ("a parent that is not there", Filter { parent: Some("other".into()), ..Filter::default() }, vec![]),
        ("from a time", Filter { created_from: Some(at(2)), ..Filter::default() }, vec!["c", "d", "e"]),
        ("up to a time", Filter { created_to: Some(at(2)), ..Filter::default() }, vec!["a", "c", "d"]),
        (
            "one instant",
            Filter { created_from: Some(at(2)), created_to: Some(at(2)), ..Filter::default() },
            vec!["c", "d"],
        ),
        ("status, which files do not have", Filter { statuses: vec![Status::Idle], ..Filter::default() }, vec![]),
    ];
    for (what, filter, expected) in cases {
        assert_eq!(ids(store, query(filter)).await, expected, "filtered by {what}");
    }
    let page = Query { after: Some((at(1), "a".into())), limit: 2, ..query(Filter::default()) };
    assert_eq!(ids(store, page).await, ["c", "d"], "a page skips what the filter leaves out");
}

pub(super) async fn sessions_are_filtered_by_status_and_come_with_their_summary(store: &dyn Store) {
    let statuses = [Status::Idle, Status::Running, Status::Rescheduling, Status::Terminated];
    let sessions: Vec<SessionId> = (20..).map(SessionId::from_bits).take(statuses.len()).collect();
    for (session, status) in sessions.iter().zip(statuses) {
        create(store, *session).await;
        let settled = Append { summary: with_status(status), ..append(*session, 1, Vec::new()) };
        store.append(settled).await.unwrap();
    }
    let of_status = |statuses: &[Status]| Query {
        kind: Kind::Session,
        ..query(Filter { statuses: statuses.to_vec(), ..Filter::default() })
    };
    for (session, status) in sessions.iter().zip(statuses) {
        let found = store.query(of_status(&[status])).await.unwrap();
        assert_eq!(found.len(), 1, "one session is {}", status.name());
        assert_eq!(found[0].document.id, session.to_string(), "sessions are filtered by the status of their summary");
        assert_eq!(found[0].summary, Some(with_status(status)), "a session in a list comes with its summary");
    }
    let two = ids(store, of_status(&[Status::Idle, Status::Terminated])).await;
    assert_eq!(two.len(), 2, "several statuses may be asked for");
    assert_eq!(ids(store, of_status(&[])).await.len(), statuses.len(), "no status means all");

    let of_version =
        |version| Query { kind: Kind::Session, ..query(Filter { agent_version: Some(version), ..Filter::default() }) };
    let snapshot = Document {
        version: 2,
        body: r#"{"agent":{"type":"agent","version":7}}"#.into(),
        ..document(Kind::Session, &sessions[2].to_string())
    };
    store.apply(vec![Change::Update(snapshot)]).await.unwrap();
    assert_eq!(
        ids(store, of_version(7)).await,
        [sessions[2].to_string()],
        "sessions are filtered by their agent's version"
    );
    assert!(ids(store, of_version(8)).await.is_empty(), "no session has an agent of that version");

    let without_log = document(Kind::Session, &SESSION.to_string());
    store.apply(vec![Change::Insert(without_log)]).await.unwrap();
    assert_eq!(ids(store, of_status(&statuses)).await.len(), statuses.len(), "what has no log has no status");
}
