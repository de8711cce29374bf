//! Snapshots: the newest of each session, for as long as the session is there.

use wire::SessionId;

use super::fixture::{SESSION, create};
use crate::{Snapshot, Store};

fn snapshot(position: u64, body: &str) -> Snapshot {
    Snapshot { position, format: 3, body: body.to_owned() }
}

async fn kept(store: &dyn Store, session: SessionId) -> Option<Snapshot> {
    store.snapshot(session).await.expect("a snapshot can be read")
}

pub(super) async fn the_newest_snapshot_is_kept(store: &dyn Store) {
    let other = SessionId::from_bits(5);
    create(store, SESSION).await;
    create(store, other).await;
    assert_eq!(kept(store, SESSION).await, None, "a session has no snapshot at first");
    let first = snapshot(4, r#"{"text":"ünï\n\"code\" 🙂"}"#);
    store.keep_snapshot(SESSION, first.clone()).await.unwrap();
    assert_eq!(kept(store, SESSION).await, Some(first), "a snapshot is read as it was written");
    let newer = Snapshot { format: 4, ..snapshot(9, "newer") };
    store.keep_snapshot(SESSION, newer.clone()).await.unwrap();
    assert_eq!(kept(store, SESSION).await, Some(newer.clone()), "a newer snapshot takes the place of an older one");
    store.keep_snapshot(SESSION, snapshot(8, "older")).await.expect("an older snapshot is passed over in silence");
    assert_eq!(kept(store, SESSION).await, Some(newer), "an older snapshot is passed over");
    assert_eq!(kept(store, other).await, None, "each session has its own snapshot");
}

pub(super) async fn a_snapshot_goes_with_its_session(store: &dyn Store) {
    store.keep_snapshot(SESSION, snapshot(1, "early")).await.expect("what has no session is passed over in silence");
    assert_eq!(kept(store, SESSION).await, None, "what has no session is not kept");
    create(store, SESSION).await;
    assert_eq!(kept(store, SESSION).await, None, "what came before the session is not kept");
    store.keep_snapshot(SESSION, snapshot(1, "kept")).await.unwrap();
    store.delete_session(SESSION).await.unwrap();
    assert_eq!(kept(store, SESSION).await, None, "a snapshot is deleted with its session");
    store.keep_snapshot(SESSION, snapshot(2, "late")).await.expect("what has no session is passed over in silence");
    assert_eq!(kept(store, SESSION).await, None, "what comes after the session is not kept");
}
