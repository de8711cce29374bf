//! Which workers poll: each node notes those it hears of, and they are counted over all nodes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use parking_lot::Mutex;
use store::AnyStore;
use wire::{EnvironmentId, Timestamp};

/// A worker polls if it did so in this time, in milliseconds.
const WINDOW: u64 = 30_000;

/// What is written for other nodes is at most this old, in milliseconds: a worker polls far more often.
const STALE: u64 = 10_000;

/// The most workers that one node notes for one environment. Those beyond are not counted.
const MOST: usize = 1_000;

pub(crate) struct Pollers {
    store: AnyStore,
    /// The id of this node's data directory.
    node: String,
    seen: Mutex<HashMap<EnvironmentId, Seen>>,
}

/// The workers of one environment, as one node has heard of them.
#[derive(Default)]
struct Seen {
    /// When each last polled, by its id.
    workers: BTreeMap<String, Timestamp>,
    written_at: Option<Timestamp>,
    /// Whether there is one that has not been written.
    is_new: bool,
}

impl Seen {
    /// What other nodes are to read, if it is time to write it.
    fn polled(&mut self, worker: &str, now: Timestamp) -> Option<String> {
        self.workers.retain(|_, at| now.since(*at) <= WINDOW);
        if self.workers.len() < MOST || self.workers.contains_key(worker) {
            self.is_new |= self.workers.insert(worker.to_owned(), now).is_none();
        }
        let is_stale = self.written_at.is_none_or(|at| now.since(at) >= STALE);
        if !self.is_new && !is_stale {
            return None;
        }
        (self.is_new, self.written_at) = (false, Some(now));
        let millis: BTreeMap<_, _> = self.workers.iter().map(|(id, at)| (id, at.millis())).collect();
        serde_json::to_string(&millis).ok()
    }
}

/// Those of what a node has written that still poll.
fn polling(written: &str, now: Timestamp) -> BTreeSet<String> {
    let workers: BTreeMap<String, i64> = serde_json::from_str(written).unwrap_or_default();
    let polls = |at: &i64| now.since(Timestamp::from_millis(*at)) <= WINDOW;
    workers.into_iter().filter(|(_, at)| polls(at)).map(|(id, _)| id).collect()
}

fn name(environment: EnvironmentId, node: &str) -> String {
    format!("pollers/{environment}/{node}")
}

impl Pollers {
    pub(crate) fn new(store: AnyStore, node: String) -> Self {
        Self { store, node, seen: Mutex::default() }
    }

    /// Best effort: what is lost here is a number in statistics.
    pub(super) async fn polled(&self, environment: EnvironmentId, worker: &str, now: Timestamp) {
        let due = self.seen.lock().entry(environment).or_default().polled(worker, now);
        let Some(written) = due else { return };
        if let Err(error) = self.store.set(&name(environment, &self.node), &written).await {
            tracing::warn!(%environment, %error, "which workers poll could not be written");
        }
    }

    /// How many workers poll; none if no worker has said who it is.
    pub(super) async fn count(&self, environment: EnvironmentId, now: Timestamp) -> store::Result<Option<u64>> {
        let mut workers = BTreeSet::new();
        for known in self.store.nodes().await? {
            let written = self.store.setting(&name(environment, &known.node.directory)).await?;
            workers.extend(written.iter().flat_map(|written| polling(written, now)));
        }
        if let Some(seen) = self.seen.lock().get(&environment) {
            let polls = seen.workers.iter().filter(|(_, at)| now.since(**at) <= WINDOW);
            workers.extend(polls.map(|(id, _)| id.clone()));
        }
        Ok((!workers.is_empty()).then_some(workers.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use store::volatile::Volatile;
    use store::{Node, SystemClock};

    use super::*;

    const ENVIRONMENT: EnvironmentId = EnvironmentId::from_bits(1);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn others_are_told_of_a_new_worker_at_once_and_of_the_rest_now_and_then() {
        let mut seen = Seen::default();
        let told = seen.polled("a", at(0)).unwrap();
        assert_eq!(polling(&told, at(0)), BTreeSet::from(["a".to_owned()]));
        assert_eq!(seen.polled("a", at(3_000)), None);
        assert!(seen.polled("b", at(4_000)).is_some());
        assert_eq!(seen.polled("a", at(13_999)), None);
        assert!(seen.polled("a", at(14_000)).is_some());
    }

    #[test]
    fn a_worker_that_has_not_polled_for_half_a_minute_does_not_poll() {
        let told = Seen::default().polled("a", at(0)).unwrap();
        assert_eq!((polling(&told, at(30_000)).len(), polling(&told, at(30_001)).len()), (1, 0));
        assert!(polling("nonsense", at(0)).is_empty());
    }

    #[tokio::test]
    async fn workers_are_counted_once_over_all_nodes() {
        let store: AnyStore = Arc::new(Volatile::new(Arc::new(SystemClock)));
        for node in ["one", "two"] {
            let node = Node {
                id: format!("{node}-1"),
                directory: node.into(),
                machine: "m".into(),
                path: "/".into(),
                address: None,
            };
            store.join(node, Duration::from_secs(9)).await.unwrap();
        }
        let nodes = ["one", "two"].map(|node| Pollers::new(store.clone(), node.to_owned()));
        assert_eq!(nodes[0].count(ENVIRONMENT, at(0)).await, Ok(None));
        nodes[0].polled(ENVIRONMENT, "a", at(0)).await;
        nodes[1].polled(ENVIRONMENT, "a", at(0)).await;
        nodes[1].polled(ENVIRONMENT, "b", at(0)).await;
        for node in &nodes {
            assert_eq!(node.count(ENVIRONMENT, at(1)).await, Ok(Some(2)));
            assert_eq!(node.count(EnvironmentId::from_bits(9), at(1)).await, Ok(None));
        }
    }
}
