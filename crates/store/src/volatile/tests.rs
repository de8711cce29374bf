//! What the suite cannot show, because it cannot set a store's clock: the very moment when a time is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use wire::Timestamp;

use super::Volatile;
use crate::{Catalog, Change, Clock, Error, Item, Node, Nodes, Queue, Taken};

const TTL: Duration = Duration::from_millis(10);

/// Milliseconds, as a test says.
#[derive(Default)]
struct Told(AtomicI64);

impl Told {
    fn tell(&self, millis: i64) {
        self.0.store(millis, Ordering::Relaxed);
    }
}

impl Clock for Told {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed).unsigned_abs())
    }
}

fn store() -> (Arc<Told>, Volatile) {
    let clock = Arc::new(Told::default());
    (clock.clone(), Volatile::new(clock))
}

fn node(id: &str) -> Node {
    Node {
        id: id.to_owned(),
        directory: "directory".into(),
        machine: "machine".into(),
        path: "/data".into(),
        address: None,
    }
}

#[tokio::test]
async fn a_node_has_expired_at_the_moment_when_its_time_is_over() {
    let (clock, store) = store();
    store.join(node("one"), TTL).await.unwrap();
    clock.tell(9);
    store.beat("one", TTL).await.unwrap();
    clock.tell(18);
    assert!(!store.nodes().await.unwrap()[0].is_expired, "a beat counts from when it came");
    clock.tell(19);
    assert!(store.nodes().await.unwrap()[0].is_expired);
    assert_eq!(store.beat("one", TTL).await, Err(Error::NotFound));
}

#[tokio::test]
async fn an_item_is_due_at_the_moment_when_its_time_has_come() {
    let (clock, store) = store();
    let item = Item { queue: "queue".into(), id: "id".into(), due_at: Timestamp::from_millis(5), body: String::new() };
    store.apply(vec![Change::Enqueue(item)]).await.unwrap();
    let attempts = async || -> Vec<u32> {
        let taken: Vec<Taken> = store.take("queue", 9, TTL).await.unwrap();
        taken.iter().map(|taken| taken.attempt).collect()
    };
    for (millis, expected) in [(4, vec![]), (5, vec![1]), (14, vec![]), (15, vec![2])] {
        clock.tell(millis);
        assert_eq!(attempts().await, expected, "at {millis}");
    }
}
