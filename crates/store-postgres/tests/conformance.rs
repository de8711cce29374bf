//! The scaled store keeps the law, on a PostgreSQL of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "how a test fails")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use store::{Catalog, conformance};
use store_postgres::{Notice, OpenError, Options, PostgresStore};
use testkit::postgres::Cluster;

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
