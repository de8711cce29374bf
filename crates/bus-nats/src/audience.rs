//! The other nodes that want previews, as far as they have announced it lately.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Subscriber;
use bus::Preview;
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::time::Instant;
use wire::SessionId;

use crate::line::Line;
use crate::parts::Parts;
use crate::words::Wish;

/// How long a wish counts after it was last announced: a node that dies takes back nothing.
const LASTS: Duration = Duration::from_secs(15);

#[derive(Default)]
pub(crate) struct Audience {
    sessions: Mutex<HashMap<SessionId, Listeners>>,
}

/// Forgotten as a whole when nobody listens any more, so that no preview is gone on with that was left off in between.
#[derive(Default)]
struct Listeners {
    nodes: HashMap<String, Instant>,
    parts: Parts,
}

impl Audience {
    pub(crate) fn wants(&self, session: SessionId) -> bool {
        self.sessions.lock().contains_key(&session)
    }

    /// The number to send this part under. `None` if it is not to be sent.
    pub(crate) fn number(&self, session: SessionId, preview: &Preview) -> Option<u64> {
        self.sessions.lock().get_mut(&session)?.parts.number(preview)
    }

    pub(crate) fn take(&self, Wish { node, want, unwant }: Wish) {
        let now = Instant::now();
        let mut sessions = self.sessions.lock();
        for session in want {
            sessions.entry(session).or_default().nodes.insert(node.clone(), now);
        }
        for session in unwant {
            if let Some(listeners) = sessions.get_mut(&session) {
                listeners.nodes.remove(&node);
                if listeners.nodes.is_empty() {
                    sessions.remove(&session);
                }
            }
        }
    }

    pub(crate) fn forget(&self) {
        self.sessions.lock().retain(|_, listeners| {
            listeners.nodes.retain(|_, announced_at| announced_at.elapsed() < LASTS);
            !listeners.nodes.is_empty()
        });
    }

    /// The task that hears what others want. It ends with the connection's owner.
    pub(crate) async fn hear(self: Arc<Self>, mut words: Subscriber, line: Arc<Line>) {
        while let Some(word) = words.next().await {
            match serde_json::from_slice::<Wish>(&word.payload) {
                Ok(wish) if wish.node != line.node => self.take(wish),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;
    use wire::{EventId, ThreadId};

    use super::*;

    const SESSION: SessionId = SessionId::from_bits(1);

    fn wants(node: &str) -> Wish {
        Wish { node: node.into(), want: vec![SESSION], unwant: Vec::new() }
    }

    fn unwants(node: &str) -> Wish {
        Wish { node: node.into(), want: Vec::new(), unwant: vec![SESSION] }
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_is_wanted_until_the_last_node_has_had_enough() {
        let audience = Audience::default();
        audience.take(wants("one"));
        audience.take(wants("two"));
        audience.take(unwants("one"));
        assert!(audience.wants(SESSION));
        audience.take(unwants("two"));
        assert!(!audience.wants(SESSION));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wish_that_is_not_repeated_is_forgotten() {
        let audience = Audience::default();
        audience.take(wants("one"));
        audience.take(wants("two"));
        advance(LASTS / 2).await;
        audience.take(wants("two"));
        advance(LASTS / 2).await;
        audience.forget();
        assert!(audience.wants(SESSION));
        advance(LASTS / 2).await;
        audience.forget();
        assert!(!audience.wants(SESSION));
    }

    #[tokio::test(start_paused = true)]
    async fn a_preview_that_nobody_wanted_for_a_while_is_not_gone_on_with() {
        let audience = Audience::default();
        let (thread, event) = (ThreadId::from_bits(1), EventId::from_bits(1));
        let start = Preview::start(thread, event, "agent.message");
        let text = Preview::text(thread, event, "text");
        assert_eq!(audience.number(SESSION, &start), None);
        audience.take(wants("one"));
        assert_eq!(audience.number(SESSION, &start), Some(0));
        assert_eq!(audience.number(SESSION, &text), Some(1));
        audience.take(unwants("one"));
        audience.take(wants("two"));
        assert_eq!(audience.number(SESSION, &text), None);
    }
}
