//! The sessions whose previews this node wants: listened to, and announced to the others.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_nats::Subscriber;
use bus::{Heard, Preview};
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};
use wire::SessionId;

use crate::audience::Audience;
use crate::line::{Line, Subject};
use crate::parts::Parts;
use crate::signals::Signals;
use crate::words::{Arrival, Carried, Wish};

/// Between two announcements of all there is. Three of them fit into the time that a wish lasts.
const ROUND: Duration = Duration::from_secs(5);

/// Sessions in one announcement, which is then well below what NATS takes.
const TOGETHER: usize = 10_000;

#[derive(Default)]
pub(crate) struct Wishes {
    wanted: Mutex<HashSet<SessionId>>,
    changed: Notify,
    asked: Notify,
}

/// The sessions that are listened to. Each has a task, which is aborted when it is no longer wanted, or with its owner;
/// one that fails costs the previews of one session.
#[derive(Default)]
struct Listening {
    sessions: HashMap<SessionId, AbortHandle>,
    tasks: JoinSet<()>,
}

impl Wishes {
    pub(crate) fn set(&self, session: SessionId, is_wanted: bool) {
        let mut wanted = self.wanted.lock();
        let is_new = if is_wanted { wanted.insert(session) } else { wanted.remove(&session) };
        drop(wanted);
        if is_new {
            self.changed.notify_one();
        }
    }

    /// Another node has asked.
    pub(crate) fn ask(&self) {
        self.asked.notify_one();
    }

    /// The task that keeps the others informed. It ends with the connection's owner.
    pub(crate) async fn keep(
        self: Arc<Self>,
        line: Arc<Line>,
        signals: Arc<Signals>,
        audience: Arc<Audience>,
        heard: mpsc::Sender<Heard>,
    ) {
        let mut listening = Listening::default();
        let mut rounds = interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let (has_come, whole) = tokio::select! {
                () = signals.up.notified() => (true, true),
                () = self.asked.notified() => (false, true),
                _ = rounds.tick() => {
                    audience.forget();
                    (false, true)
                }
                () = self.changed.notified() => (false, false),
            };
            // Once it is back, all there is by then is listened to and announced.
            if !has_come && !line.is_up() {
                continue;
            }
            if has_come {
                line.say(Subject::Who, &Arrival { node: line.node.clone() }).await;
            }
            self.inform(&mut listening, whole, &line, &heard).await;
        }
    }

    async fn inform(&self, listening: &mut Listening, whole: bool, line: &Arc<Line>, heard: &mpsc::Sender<Heard>) {
        let wanted = self.wanted.lock().clone();
        let old: Vec<_> = listening.sessions.keys().filter(|session| !wanted.contains(*session)).copied().collect();
        let known = &listening.sessions;
        let new: Vec<_> = wanted.iter().filter(|session| !known.contains_key(*session)).copied().collect();
        // First listened to, then announced: what is sent because of it must not be missed.
        for session in &new {
            listening.begin(*session, line, heard).await;
        }
        for session in &old {
            listening.end(*session);
        }
        let announced = if whole { wanted.into_iter().collect() } else { new };
        let node = &line.node;
        for want in announced.chunks(TOGETHER) {
            let wish = Wish { node: node.clone(), want: want.to_vec(), unwant: Vec::new() };
            line.say(Subject::Want, &wish).await;
        }
        for unwant in old.chunks(TOGETHER) {
            let wish = Wish { node: node.clone(), want: Vec::new(), unwant: unwant.to_vec() };
            line.say(Subject::Want, &wish).await;
        }
    }
}

impl Listening {
    async fn begin(&mut self, session: SessionId, line: &Arc<Line>, heard: &mpsc::Sender<Heard>) {
        match line.subscribe(Subject::Preview(session)).await {
            Ok(words) => {
                let task = self.tasks.spawn(hear(words, session, line.clone(), heard.clone()));
                self.sessions.insert(session, task);
            }
            // Tried again in the next round.
            Err(error) => tracing::debug!(%session, %error, "a session's previews are not listened to"),
        }
    }

    fn end(&mut self, session: SessionId) {
        if let Some(task) = self.sessions.remove(&session) {
            task.abort();
        }
        while self.tasks.try_join_next().is_some() {}
    }
}

/// Hears one session's previews. Ends when nobody takes them any more.
async fn hear(mut words: Subscriber, session: SessionId, line: Arc<Line>, heard: mpsc::Sender<Heard>) {
    let mut parts = Parts::default();
    while let Some(word) = words.next().await {
        let Ok(Carried { node, number, preview }) = serde_json::from_slice(&word.payload) else { continue };
        if node == line.node {
            continue;
        }
        // A node of another version may know more kinds.
        let Some(preview) = Preview::decode(&preview) else { continue };
        if parts.follows(&preview, number) && heard.send(Heard::Preview { session, preview }).await.is_err() {
            return;
        }
    }
}
