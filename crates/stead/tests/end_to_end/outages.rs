//! The database goes away while a server works, stands still, or takes nothing more; and then it does again.

mod disk;

use std::time::Duration;

use serde_json::Value;

use self::disk::Disk;
use crate::account::{account, id, said};
use crate::client::{Client, of, text};
use crate::letter::{Letter, Way};
use crate::place::{Database, Place, crashing};
use crate::traces::{CALLS, SPEAKS};

const NOTES: &str = "then: { say: 'Noted.' }\n";

/// Far more messages than any of these databases takes before it takes no more.
const MOST: usize = 1_000;

#[tokio::test]
async fn a_turn_and_a_message_survive_a_crash_of_postgresql() {
    let Some(cluster) = crashing() else { return };
    let place = Place::on(Database::on(&cluster).1, &[CALLS.script()]);
    let server = place.serve().await;
    let client = &server.client;
    let session = CALLS.reach(client).await;
    cluster.restart().unwrap();
    client.idle_at_last(&session).await;
    CALLS.is_done_once(client, &session).await;

    let session = client.session("script/echo").await;
    cluster.stop();
    let mut letter = Letter::new(&session, "Is anybody there?".into(), Way::Count);
    assert_eq!(letter.send(client).await, None, "there is nobody to take it");
    cluster.restart().unwrap();
    let taken = letter.deliver(|| client.clone()).await;
    client.idle_at_last(&session).await;
    let events = account(client, &session).await;
    assert_eq!(there(&events), [(letter.text.clone(), taken)]);
    assert_eq!(said(&events), letter.text);
    assert!(server.terminate().await);
    place.db(&["check"]).await;
}

#[tokio::test]
async fn a_turn_survives_a_postgresql_that_stands_still_for_longer_than_a_lease() {
    let Some(cluster) = crashing() else { return };
    let scripts = [CALLS.script(), SPEAKS.script()];
    let place = Place::on(Database::on(&cluster).1, &scripts).with_config("lease_ms = 1000\n");
    let server = place.serve().await;
    for trace in [CALLS, SPEAKS] {
        let session = trace.reach(&server.client).await;
        cluster.pause();
        tokio::time::sleep(Duration::from_secs(3)).await;
        cluster.resume();
        server.client.idle_at_last(&session).await;
        trace.is_done_once(&server.client, &session).await;
    }
    assert!(server.terminate().await);
    place.db(&["check"]).await;
}

#[tokio::test]
async fn a_postgresql_that_takes_no_writes_for_a_while_loses_nothing() {
    let Some(cluster) = crashing() else { return };
    let place = Place::on(Database::on(&cluster).1, &[("notes", NOTES)]);
    let server = place.serve().await;
    let session = server.client.session("script/notes").await;
    let set = |setting: &str| {
        // Each by itself: the first may stand in no transaction.
        for statement in [format!("ALTER SYSTEM {setting}").as_str(), "SELECT pg_reload_conf()"] {
            cluster.sql("postgres", statement).unwrap();
        }
    };
    set("SET default_transaction_read_only = on");
    refuse_for_a_while(&server.client, &session, 10, || set("RESET default_transaction_read_only")).await;
    assert!(place.log().contains("read-only"), "{}", place.log());
    assert!(server.terminate().await);
    place.db(&["check"]).await;
}

#[tokio::test]
async fn a_full_disk_refuses_what_it_cannot_keep_and_loses_nothing() {
    let place = Place::new(&[("notes", NOTES)]);
    let Some(disk) = Disk::under(&place) else { return };
    let ballast = place.data().join("ballast");
    std::fs::write(&ballast, vec![1; 4 << 20]).unwrap();
    let server = place.serve().await;
    let session = server.client.session("script/notes").await;
    refuse_for_a_while(&server.client, &session, 32 << 10, || std::fs::remove_file(&ballast).unwrap()).await;
    assert!(place.log().contains("the disk is full"), "{}", place.log());
    let events = server.client.events(&session).await;
    assert!(server.terminate().await);
    place.db(&["check"]).await;
    let server = place.serve().await;
    assert_eq!(server.client.events(&session).await, events);
    drop((server, disk));
}

/// Sends messages until one is not taken, has that mended, and sends the same one on. `size` is that of a message.
async fn refuse_for_a_while(client: &Client, session: &str, size: usize, mend: impl FnOnce()) {
    let mut sent = Vec::new();
    let mut refused = loop {
        assert!(sent.len() < MOST, "everything is taken");
        let way = [Way::Key, Way::Count][sent.len() % 2];
        let mut letter = Letter::new(session, format!("{:04} {}", sent.len(), "x".repeat(size)), way);
        match letter.send(client).await {
            Some(id) => sent.push((letter.text, id)),
            None => break letter,
        }
    };
    let found = there(&client.events(session).await);
    let lost = sent.iter().find(|sent| found.iter().filter(|found| found == sent).count() != 1);
    assert!(lost.is_none(), "{lost:?} was taken, and cannot be read once while nothing more is taken");
    mend();
    let id = refused.deliver(|| client.clone()).await;
    sent.push((refused.text, id));
    client.idle(session).await;
    let mut found = there(&account(client, session).await);
    found.sort();
    assert!(found == sent, "{} messages were taken, and others are there: {}", sent.len(), found.len());
}

/// The messages of the user: their texts and their ids.
fn there(events: &[Value]) -> Vec<(String, String)> {
    of(events, "user.message").into_iter().map(|event| (text(event), id(event).to_owned())).collect()
}
