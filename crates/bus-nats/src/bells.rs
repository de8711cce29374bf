//! Doorbells: gathered for a moment, and sent together.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Subscriber;
use bus::{Bell, Heard};
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep;
use wire::SessionId;

use crate::line::{Line, Subject};
use crate::words::Ringing;

/// How long bells are gathered. A turn appends several times in quick succession.
const GATHER: Duration = Duration::from_millis(1);

/// Bells in one message, which is then well below what NATS takes.
const TOGETHER: usize = 4_000;

/// Bells that have not been sent yet, by the latest head of each session.
#[derive(Default)]
pub(crate) struct Bells {
    waiting: Mutex<HashMap<SessionId, u64>>,
    rung: Notify,
}

impl Bells {
    pub(crate) fn ring(&self, Bell { session, head }: Bell) {
        let mut waiting = self.waiting.lock();
        let latest = waiting.entry(session).or_default();
        *latest = head.max(*latest);
        drop(waiting);
        self.rung.notify_one();
    }

    fn take(&self) -> Vec<Bell> {
        self.waiting.lock().drain().map(|(session, head)| Bell { session, head }).collect()
    }

    /// The task that sends them. What it drops while NATS is away, the others look for once this node has come back.
    pub(crate) async fn send(self: Arc<Self>, line: Arc<Line>) {
        loop {
            self.rung.notified().await;
            sleep(GATHER).await;
            let bells = self.take();
            if !line.is_up() {
                continue;
            }
            for bells in bells.chunks(TOGETHER) {
                line.say(Subject::Bell, &Ringing { node: line.node.clone(), bells: bells.to_vec() }).await;
            }
        }
    }
}

/// The task that hears those of others. It ends when nobody takes them any more.
pub(crate) async fn hear(mut words: Subscriber, line: Arc<Line>, heard: mpsc::Sender<Heard>) {
    while let Some(word) = words.next().await {
        // What is not understood was said by another version, which rings in its own way.
        let Ok(Ringing { node, bells }) = serde_json::from_slice(&word.payload) else { continue };
        if node == line.node {
            continue;
        }
        for bell in bells {
            if heard.send(Heard::Bell(bell)).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_session_only_the_latest_bell_is_kept() {
        let bells = Bells::default();
        let bell = |session, head| Bell { session: SessionId::from_bits(session), head };
        for bell in [bell(1, 3), bell(1, 5), bell(2, 1), bell(1, 4)] {
            bells.ring(bell);
        }
        let mut taken = bells.take();
        taken.sort_by_key(|bell| bell.session);
        assert_eq!(taken, [bell(1, 5), bell(2, 1)]);
        assert!(bells.take().is_empty());
    }
}
