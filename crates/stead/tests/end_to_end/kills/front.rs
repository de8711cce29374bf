//! The servers as clients know them: addresses that may be dead, and are tried again.

use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;

use super::dice::Dice;
use crate::client::Client;
use crate::letter::{Letter, Way};
use crate::server::Server;

#[derive(Default)]
pub(crate) struct Front(Mutex<Vec<Client>>);

/// A message that was acknowledged.
pub(crate) struct Sent {
    pub(crate) text: String,
    pub(crate) id: String,
}

impl Front {
    pub(crate) fn show(&self, servers: &[Server]) {
        *self.0.lock() = servers.iter().map(|server| server.client.clone()).collect();
    }

    /// Any of them.
    pub(crate) fn client(&self, dice: &mut Dice) -> Client {
        let clients = self.0.lock();
        clients[dice.below(clients.len())].clone()
    }

    pub(crate) fn first(&self) -> Client {
        self.0.lock()[0].clone()
    }

    /// Says one thing after another until it is calm, each until it is taken, and some once more after that.
    pub(crate) async fn talk(&self, session: &str, mut dice: Dice, calm: &CancellationToken) -> Vec<Sent> {
        let mut sent = Vec::new();
        while !calm.is_cancelled() {
            let way = [Way::Key, Way::Count][dice.below(2)];
            let mut letter = Letter::new(session, format!("m{}", sent.len()), way);
            let id = letter.deliver(|| self.client(&mut dice)).await;
            if dice.below(4) == 0 {
                let again = letter.deliver(|| self.client(&mut dice)).await;
                assert_eq!(again, id, "the same send has two events");
            }
            sent.push(Sent { text: letter.text, id });
            sleep(dice.millis(50, 400)).await;
        }
        sent
    }

    /// Everything that one client sees until it is over. A stream that ends is taken up again there, perhaps elsewhere.
    pub(crate) async fn watch(&self, session: &str, mut dice: Dice, over: &CancellationToken) -> Vec<Value> {
        let mut seen = Vec::new();
        let mut position = None;
        while !over.is_cancelled() {
            let client = self.client(&mut dice);
            let Some(mut stream) = client.try_stream(session, "", position).await else {
                sleep(Duration::from_millis(20)).await;
                continue;
            };
            loop {
                let frame = tokio::select! {
                    biased;
                    () = over.cancelled() => return seen,
                    frame = stream.next() => frame,
                };
                let Some(frame) = frame else { break };
                assert!(position < frame.position, "behind {position:?} comes {frame:?}");
                position = frame.position;
                seen.push(frame.data);
            }
        }
        seen
    }
}
