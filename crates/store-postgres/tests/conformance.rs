//! The scaled store keeps the law, on a PostgreSQL of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "how a test fails")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use session::{Stored, Summary, Visibility};
use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use store::{
    Append, Appended, BlobId, Blobs, Catalog, Change, Dead, Document, Error, Kind, Lease, Node, Nodes, SessionLog,
    Transfer, conformance,
};
use store_postgres::{Notice, OpenError, Options, PostgresStore};
use testkit::postgres::Cluster;
use wire::{EventId, SessionId, ThreadId, Timestamp, WorkspaceId};

const WORKSPACE: WorkspaceId = WorkspaceId::from_bits(1);
const SESSION: SessionId = SessionId::from_bits(2);
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

static MADE: AtomicU32 = AtomicU32::new(0);

/// Longer than any node here lives.
const LONG: Duration = Duration::from_secs(600);

/// The URL of an empty database.
fn database(cluster: &Cluster) -> String {
    cluster.create_database(&format!("t{}", MADE.fetch_add(1, Ordering::Relaxed))).unwrap()
}

/// A database's name, from its URL.
fn name(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

async fn open(cluster: &Cluster) -> PostgresStore {
    PostgresStore::connect(&database(cluster), Options { connections: 8, ..Options::default() }).await.unwrap()
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
    let connect = || PostgresStore::connect(&url, Options { connections: 2, ..Options::default() });
    let (one, other) = tokio::join!(connect(), connect());
    one.unwrap().set("name", "value").await.unwrap();
    assert_eq!(other.unwrap().setting("name").await.unwrap().as_deref(), Some("value"));
}

#[tokio::test]
async fn databases_that_cannot_be_used_say_why() {
    let Some(cluster) = Cluster::start().unwrap() else { return };
    let newer = database(&cluster);
    drop(PostgresStore::connect(&newer, Options::default()).await.unwrap());
    cluster.sql(name(&newer), "UPDATE stead_schema SET version = 99").unwrap();
    let connect = async |url: &str| PostgresStore::connect(url, Options::default()).await.err().unwrap();
    assert!(matches!(connect(&newer).await, OpenError::Newer { found: 99, .. }));

    let read_only = database(&cluster);
    let statement = format!("ALTER DATABASE {} SET default_transaction_read_only = on", name(&read_only));
    cluster.sql("postgres", &statement).unwrap();
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
        nodes.push(PostgresStore::connect(&url, Options { connections: 4, ..Options::default() }).await.unwrap());
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
    let store = PostgresStore::connect(&url, Options { connections: 2, ..Options::default() }).await.unwrap();
    let mut listener = store.listen("bells");
    let within = Duration::from_secs(30);
    assert_eq!(tokio::time::timeout(within, listener.next()).await.unwrap(), Notice::Reconnected);
    store.notify("bells", vec!["one".into(), "two".into()]).await.unwrap();
    for text in ["one", "two"] {
        assert_eq!(tokio::time::timeout(within, listener.next()).await.unwrap(), Notice::Text(text.into()));
    }
    let others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database()
                  AND pid <> pg_backend_pid()";
    cluster.sql(name(&url), others).unwrap();
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

fn node(id: &str) -> Node {
    let [directory, machine, path] = ["here", "machine", "/data"].map(str::to_owned);
    Node { id: id.to_owned(), directory, machine, path, address: None }
}

/// A transaction of somebody else's that did this, and stands still: until its connection is closed.
async fn standing_still(url: &str, after: String) -> PgConnection {
    let mut other = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("BEGIN; {after}"))).execute(&mut other).await.unwrap();
    other
}

/// For [`standing_still`].
const HAS_THE_SESSION: &str = "SELECT 1 FROM sessions FOR UPDATE";

/// Returns when a statement waits for another transaction.
async fn somebody_waits(cluster: &Cluster, url: &str) {
    let waiting = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while cluster.sql(name(url), waiting).unwrap() == "0" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_database_that_hangs_is_given_up_and_used_again_when_it_answers() {
    let Some(cluster) = Cluster::start().unwrap() else { return };
    let url = database(&cluster);
    let limit = Duration::from_secs(1);
    let store = PostgresStore::connect(&url, Options { connections: 1, limit }).await.unwrap();
    store.create_session(WORKSPACE, append(0, vec![message(1, 0)])).await.unwrap();
    // The append is on its way when the database stops.
    let other = standing_still(&url, HAS_THE_SESSION.into()).await;
    let appending = tokio::time::timeout(Duration::from_secs(30), store.append(append(1, vec![message(2, 1)])));
    let (hung, ()) = tokio::join!(appending, async {
        somebody_waits(&cluster, &url).await;
        cluster.pause();
    });
    cluster.resume();
    let told = hung.expect("it is waited for within a limit").unwrap_err().to_string();
    assert!(told.contains("the database does not answer") && told.contains("may be there all the same"), "{told}");

    other.close().await.unwrap();
    // The only connection of the pool was given up, so there is room for another. What was on its way may come before.
    let mut head = 1;
    let appended = loop {
        match store.append(append(head, vec![message(head + 1, 2)])).await {
            Err(Error::Conflict { head: grown }) => head = grown,
            outcome => break outcome,
        }
    };
    assert_eq!(appended, Ok(Appended { head: head + 1, epoch: 0 }));
}

#[tokio::test]
async fn a_node_lives_on_while_its_work_has_all_connections() {
    let Some(cluster) = Cluster::start().unwrap() else { return };
    let url = database(&cluster);
    let store = PostgresStore::connect(&url, Options { connections: 1, ..Options::default() }).await.unwrap();
    store.create_session(WORKSPACE, append(0, vec![message(1, 0)])).await.unwrap();
    let other = standing_still(&url, HAS_THE_SESSION.into()).await;
    let (appended, (joined, beaten)) = tokio::join!(store.append(append(1, vec![message(2, 1)])), async {
        somebody_waits(&cluster, &url).await;
        let lived = (store.join(node("one"), LONG).await, store.beat("one", LONG).await);
        other.close().await.unwrap();
        lived
    });
    assert_eq!((joined, beaten), (Ok(()), Ok(())));
    assert_eq!(appended, Ok(Appended { head: 2, epoch: 0 }));
}

#[tokio::test]
async fn burying_does_not_wait_for_a_transaction_that_stands_still() {
    let Some(cluster) = Cluster::start().unwrap() else { return };
    let url = database(&cluster);
    let store = PostgresStore::connect(&url, Options::default()).await.unwrap();
    store.create_session(WORKSPACE, append(0, vec![message(1, 0)])).await.unwrap();
    let claim = |owner: &str| {
        let lease = Lease::Claim { owner: owner.into() };
        Append { lease, runnable: true, ..append(1, Vec::new()) }
    };
    store.join(node("dead"), LONG).await.unwrap();
    store.append(claim("dead")).await.unwrap();
    let other = standing_still(&url, HAS_THE_SESSION.into()).await;
    assert_eq!(store.bury(Dead::Node("dead".into())).await, Ok(1), "the lease is free, though its row cannot be had");
    assert_eq!(store.runnable(9).await, Ok(vec![SESSION]));
    let late = Append { lease: Lease::Hold { epoch: 1 }, ..append(1, vec![message(2, 1)]) };
    other.close().await.unwrap();
    assert_eq!(store.append(late).await, Err(Error::Fenced { epoch: 1 }));
    store.join(node("heir"), LONG).await.unwrap();
    assert_eq!(store.append(claim("heir")).await, Ok(Appended { head: 1, epoch: 2 }));
}

#[tokio::test]
async fn a_blob_whose_upload_was_cut_off_is_not_there_until_it_is_put_again() {
    let Some(cluster) = Cluster::start().unwrap() else { return };
    let url = database(&cluster);
    let store = PostgresStore::connect(&url, Options::default()).await.unwrap();
    let bytes: Vec<u8> = (0..(2_u32 << 20) + 5).map(|number| (number % 251) as u8).collect();
    let id: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let put = || {
        let whole: BoxStream<'static, std::io::Result<Bytes>> =
            futures::stream::iter([Ok(Bytes::from(bytes.clone()))]).boxed();
        store.put(WORKSPACE, whole)
    };
    // The second chunk has to wait for somebody who writes it, too.
    let second = format!("INSERT INTO blob_chunks VALUES ('{WORKSPACE}', '{id}', 1, '')");
    let other = standing_still(&url, second).await;
    tokio::select! {
        done = put() => unreachable!("{done:?}"),
        () = somebody_waits(&cluster, &url) => {}
    }
    other.close().await.unwrap();
    assert_eq!(cluster.sql(name(&url), "SELECT count(*) FROM blob_chunks WHERE number = 0").unwrap(), "1");
    let id = BlobId(id);
    assert_eq!(store.read(WORKSPACE, &id).await.err(), Some(Error::NotFound));
    assert_eq!(store.is_empty().await, Ok(true), "what was left is nothing that a store keeps");

    assert_eq!(put().await, Ok((id.clone(), bytes.len() as u64)));
    let mut chunks = store.read(WORKSPACE, &id).await.unwrap();
    let mut whole = Vec::new();
    while let Some(chunk) = chunks.next().await {
        whole.extend_from_slice(&chunk.unwrap());
    }
    assert!(whole == bytes, "the bytes come back");
}

#[tokio::test]
async fn commits_are_durable_where_the_database_would_not_wait_for_that() {
    let Some(cluster) = Cluster::start().unwrap() else { return };
    let told = "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
                  'BEGIN NEW.value := current_setting(''synchronous_commit''); RETURN NEW; END';
                CREATE TRIGGER tell BEFORE INSERT ON settings FOR EACH ROW EXECUTE FUNCTION tell()";
    // Only what loses commits is overruled.
    for (set, used) in [("off", "on"), ("local", "local")] {
        let url = database(&cluster);
        let statement = format!("ALTER DATABASE {} SET synchronous_commit = {set}", name(&url));
        cluster.sql("postgres", &statement).unwrap();
        let store = PostgresStore::connect(&url, Options::default()).await.unwrap();
        cluster.sql(name(&url), told).unwrap();
        store.set("name", "value").await.unwrap();
        assert_eq!(store.setting("name").await.unwrap().as_deref(), Some(used));
    }
}
