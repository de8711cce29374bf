//! Notices between nodes: LISTEN and NOTIFY.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPool};
use store::Result;

use crate::failure::reason;
use crate::{PostgresStore, failed};

/// Between two attempts to hear again.
const AGAIN: Duration = Duration::from_secs(1);

/// A connection that says nothing for this long is tried: a network can take a connection without telling.
const QUIET: Duration = Duration::from_secs(20);

/// What a listener hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    Text(String),
    /// It hears again, and may have missed some.
    Reconnected,
    /// It hears nothing, and why; it goes on trying.
    Lost(String),
}

/// Hears one channel. Never ends.
pub struct Listener {
    pool: PgPool,
    channel: String,
    listener: Option<PgListener>,
}

impl PostgresStore {
    /// Tells whoever listens. Each payload must be below 8,000 bytes.
    pub async fn notify(&self, channel: &str, payloads: Vec<String>) -> Result<()> {
        let sql = sqlx::query("SELECT pg_notify($1, payload) FROM unnest($2::text[]) payload");
        sql.bind(channel.to_owned()).bind(payloads).execute(&self.bells).await.map(|_| ()).map_err(failed)
    }

    pub fn listen(&self, channel: &str) -> Listener {
        Listener { pool: self.bells.clone(), channel: channel.to_owned(), listener: None }
    }
}

impl Listener {
    pub async fn next(&mut self) -> Notice {
        let Some(listener) = &mut self.listener else {
            return match self.connect().await {
                Ok(listener) => {
                    self.listener = Some(listener);
                    Notice::Reconnected
                }
                Err(error) => {
                    tokio::time::sleep(AGAIN).await;
                    Notice::Lost(reason(&error))
                }
            };
        };
        loop {
            let why = match tokio::time::timeout(QUIET, listener.try_recv()).await {
                Ok(Ok(Some(notice))) => return Notice::Text(notice.payload().to_owned()),
                Ok(Ok(None)) => "the connection ended".to_owned(),
                Ok(Err(error)) => reason(&error),
                // Listening once more changes nothing, but needs an answer.
                Err(_) => match tokio::time::timeout(QUIET, listener.listen(&self.channel)).await {
                    Ok(Ok(())) => continue,
                    Ok(Err(error)) => reason(&error),
                    Err(_) => "the database does not answer".to_owned(),
                },
            };
            self.listener = None;
            return Notice::Lost(why);
        }
    }

    async fn connect(&self) -> std::result::Result<PgListener, sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(&self.channel).await?;
        Ok(listener)
    }
}
