//! The scaled store keeps the law, on a PostgreSQL of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "how a test fails")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use session::{Stored, Summary, Visibility};
use store::{Append, Catalog, Change, Document, Error, Kind, Lease, SessionLog, conformance};
use store_postgres::{Notice, OpenError, Options, PostgresStore};
use testkit::postgres::Cluster;
use wire::{EventId, SessionId, ThreadId, Timestamp, WorkspaceId};

const WORKSPACE: WorkspaceId = WorkspaceId::from_bits(1);
const SESSION: SessionId = SessionId::from_bits(2);
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

static MADE: AtomicU32 = AtomicU32::new(0);

/// The URL of an empty database.
fn database(cluster: &Cluster) -> String {
    cluster.create_database(&format!("t{}", MADE.fetch_add(1, Ordering::Relaxed))).unwrap()
}

async fn open(cluster: &Cluster) -> PostgresStore {
    PostgresStore::connect(&database(cluster), Options { connections: 8 }).await.unwrap()
}

#[tokio::test]
async fn the_scaled_store_conforms() {
    let Some(cluster) = Cluster::start().unwrap() else { return };
    conformance::run(async || open(&cluster).await).await;
}

#[tokio::test]
async fn two_servers_may_bring_the_schema_up_to_date_at_once() {
    let Some(cluster) = Cluster::start().unwrap() else { return };
    let url = database(&cluster);
    let connect = || PostgresStore::connect(&url, Options { connections: 2 });
    let (one, other) = tokio::join!(connect(), connect());
    one.unwrap().set("name", "value").await.unwrap();
    assert_eq!(other.unwrap().setting("name").await.unwrap().as_deref(), Some("value"));
}

#[tokio::test]
async fn databases_that_cannot_be_used_say_why() {
    let Some(cluster) = Cluster::start().unwrap() else { return };
    let newer = database(&cluster);
    drop(PostgresStore::connect(&newer, Options::default()).await.unwrap());
    let name = newer.rsplit('/').next().unwrap();
    cluster.sql(name, "UPDATE stead_schema SET version = 99").unwrap();
    let connect = async |url: &str| PostgresStore::connect(url, Options::default()).await.err().unwrap();
    assert!(matches!(connect(&newer).await, OpenError::Newer { found: 99, .. }));

    let read_only = database(&cluster);
    let name = read_only.rsplit('/').next().unwrap();
    cluster.sql("postgres", &format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).unwrap();
    assert!(matches!(connect(&read_only).await, OpenError::ReadOnly { .. }));

    let absent = connect(&cluster.url("absent")).await;
    assert!(matches!(absent, OpenError::Refused { .. }), "{absent}");
    let nowhere = connect("postgres://stead:secret@127.0.0.1:1/stead").await.to_string();
    assert!(nowhere.contains("127.0.0.1:1") && !nowhere.contains("secret"), "{nowhere}");
    assert!(nowhere.contains("refused"), "why it cannot be reached: {nowhere}");

    cluster.pause();
    let silent = connect(&newer).await;
    cluster.resume();
    assert!(matches!(silent, OpenError::Unreachable { .. }), "{silent}");
}

#[tokio::test]
async fn the_schema_is_brought_up_to_date_by_itself_too() {
    let Some(cluster) = Cluster::start().unwrap() else { return };
    let url = database(&cluster);
    let (before, after) = PostgresStore::migrate(&url).await.unwrap();
    assert!(before == 0 && after > 0, "from {before} to {after}");
    assert_eq!(PostgresStore::migrate(&url).await.unwrap(), (after, after), "there is nothing more to do");
}

fn message(position: u64, id: u64) -> Stored {
    Stored {
        position,
        id: EventId::from_bits(u128::from(id)),
        thread: ThreadId::from_bits(3),
        at: NOW,
        kind: "agent.message".to_owned(),
        visibility: Visibility::Shown,
        body: "{}".into(),
        private: String::new(),
    }
}

fn append(head: u64, rows: Vec<Stored>) -> Append {
    Append {
        session: SESSION,
        expected_head: head,
        lease: Lease::None,
        rows: rows.into(),
        summary: Summary::default(),
        runnable: false,
        changes: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_on_several_nodes_leave_no_gap() {
    let Some(cluster) = Cluster::start().unwrap() else { return };
    let url = database(&cluster);
    let mut nodes = Vec::new();
    for _ in 0..2 {
        nodes.push(PostgresStore::connect(&url, Options { connections: 4 }).await.unwrap());
    }
    nodes[0].create_session(WORKSPACE, append(0, vec![message(1, 0)])).await.unwrap();
    let writers = (0..8_u64).map(|writer| {
        let store = nodes[writer as usize % 2].clone();
        async move {
            let (mut head, mut written) = (1, 0);
            while written < 10 {
                match store.append(append(head, vec![message(head + 1, writer * 100 + written + 1)])).await {
                    Ok(appended) => (head, written) = (appended.head, written + 1),
                    Err(Error::Conflict { head: grown }) => head = grown,
                    Err(other) => unreachable!("{other}"),
                }
            }
        }
    });
    futures::future::join_all(writers).await;
    let rows = nodes[1].rows(SESSION, 0, usize::MAX).await.unwrap();
    let positions: Vec<u64> = rows.iter().map(|row| row.position).collect();
    assert_eq!(positions, (1..=81).collect::<Vec<_>>());
    assert_eq!(nodes[1].head(SESSION).await.unwrap().head, 81);
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_that_stand_in_each_others_way_are_made_again() {
    let Some(cluster) = Cluster::start().unwrap() else { return };
    let store = open(&cluster).await;
    let document = |id: &str| Document::new(WORKSPACE, Kind::File, id, NOW, "{}".into());
    store.apply(["one", "other"].map(|id| Change::Insert(document(id))).into()).await.unwrap();
    for version in 2..8 {
        let update = |ids: [&str; 2]| {
            let changes = ids.map(|id| Change::Update(Document { version, ..document(id) }));
            store.apply(changes.into())
        };
        let (forth, back) = tokio::join!(update(["one", "other"]), update(["other", "one"]));
        let outcomes = [forth, back];
        assert!(outcomes.contains(&Ok(())) && outcomes.contains(&Err(Error::Stale { version })), "{outcomes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_referred_to_is_not_deleted_in_the_same_moment() {
    let Some(cluster) = Cluster::start().unwrap() else { return };
    let store = open(&cluster).await;
    for round in 0..50 {
        let (environment, session) = (format!("env_{round}"), format!("sesn_{round}"));
        let document = |kind, id: &str| Document::new(WORKSPACE, kind, id, NOW, "{}".into());
        store.apply(vec![Change::Insert(document(Kind::Environment, &environment))]).await.unwrap();
        let referring = Document { refers: Some(environment.clone()), ..document(Kind::Session, &session) };
        let delete = Change::Delete { workspace: WORKSPACE, kind: Kind::Environment, id: environment.clone() };
        let (made, deleted) = tokio::join!(store.apply(vec![Change::Insert(referring)]), store.apply(vec![delete]));
        made.unwrap();
        let is_there = store.get(WORKSPACE, Kind::Environment, &environment).await.is_ok();
        match deleted {
            // Whoever refers to what is gone was later, and is not asked.
            Ok(()) => assert!(!is_there),
            Err(error) => assert!(error == Error::InUse && is_there, "{error}"),
        }
    }
}

#[tokio::test]
async fn a_notice_is_heard_also_after_the_connection_broke() {
    let Some(cluster) = Cluster::start().unwrap() else { return };
    let url = database(&cluster);
    let store = PostgresStore::connect(&url, Options { connections: 2 }).await.unwrap();
    let mut listener = store.listen("bells");
    let within = Duration::from_secs(30);
    assert_eq!(tokio::time::timeout(within, listener.next()).await.unwrap(), Notice::Reconnected);
    store.notify("bells", vec!["one".into(), "two".into()]).await.unwrap();
    for text in ["one", "two"] {
        assert_eq!(tokio::time::timeout(within, listener.next()).await.unwrap(), Notice::Text(text.into()));
    }
    let name = url.rsplit('/').next().unwrap();
    let others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database()
                  AND pid <> pg_backend_pid()";
    cluster.sql(name, others).unwrap();
    loop {
        match tokio::time::timeout(within, listener.next()).await.unwrap() {
            Notice::Reconnected => break,
            Notice::Lost(_) => {}
            Notice::Text(text) => unreachable!("{text}"),
        }
    }
    // The connection for ringing broke too; the next one is whole.
    while store.notify("bells", vec!["three".into()]).await.is_err() {}
    assert_eq!(tokio::time::timeout(within, listener.next()).await.unwrap(), Notice::Text("three".into()));
}
