//! The connection, and the subjects of one installation.

use async_nats::connection::State;
use async_nats::{Client, SubscribeError, Subscriber};
use serde::Serialize;
use wire::SessionId;

pub(crate) struct Line {
    pub(crate) client: Client,
    pub(crate) installation: String,
    /// Who speaks here.
    pub(crate) node: String,
}

/// `stead.<installation>.` and the rest.
pub(crate) enum Subject {
    Bell,
    Want,
    Who,
    Preview(SessionId),
}

impl Line {
    fn name(&self, subject: &Subject) -> String {
        let installation = &self.installation;
        match subject {
            Subject::Bell => format!("stead.{installation}.bell"),
            Subject::Want => format!("stead.{installation}.want"),
            Subject::Who => format!("stead.{installation}.who"),
            Subject::Preview(session) => format!("stead.{installation}.preview.{session}"),
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    pub(crate) async fn subscribe(&self, subject: Subject) -> Result<Subscriber, SubscribeError> {
        self.client.subscribe(self.name(&subject)).await
    }

    /// Best effort. While NATS is away, it may wait until that is back: ask [`Line::is_up`] first.
    pub(crate) async fn say(&self, subject: Subject, word: &impl Serialize) {
        match serde_json::to_vec(word) {
            Ok(payload) => self.send(subject, payload).await,
            Err(error) => tracing::error!(%error, "a defect: a word that cannot be said"),
        }
    }

    /// The same with a word that is encoded already.
    pub(crate) async fn send(&self, subject: Subject, payload: Vec<u8>) {
        if let Err(error) = self.client.publish(self.name(&subject), payload.into()).await {
            tracing::debug!(%error, "a word to the other nodes was lost");
        }
    }
}
