//! Notices between nodes: LISTEN and NOTIFY.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPool};
use store::{Error, Result};

use crate::failure::reason;
use crate::{PATIENCE, PostgresStore, failed};

/// Between two attempts to hear again: at first, and at most.
const SOON: Duration = Duration::from_millis(50);
const AGAIN: Duration = Duration::from_secs(1);

/// A connection that says nothing for this long is tried: a network can take a connection without telling.
const QUIET: Duration = Duration::from_secs(20);

const SILENT: &str = "the database does not answer";

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
    /// Before the next attempt, if this one fails.
    pause: Duration,
}

impl PostgresStore {
    /// Tells whoever listens. Each payload must be below 8,000 bytes.
    pub async fn notify(&self, channel: &str, payloads: Vec<String>) -> Result<()> {
        let sql = sqlx::query("SELECT pg_notify($1, payload) FROM unnest($2::text[]) payload");
        let rung = sql.bind(channel.to_owned()).bind(payloads).execute(&self.bells);
        match tokio::time::timeout(PATIENCE, rung).await {
            Ok(rung) => rung.map(|_| ()).map_err(failed),
            Err(_) => Err(Error::Failed(SILENT.into())),
        }
    }

    pub fn listen(&self, channel: &str) -> Listener {
        Listener { pool: self.bells.clone(), channel: channel.to_owned(), listener: None, pause: SOON }
    }
}

impl Listener {
    pub async fn next(&mut self) -> Notice {
        let Some(listener) = &mut self.listener else {
            let why = match tokio::time::timeout(PATIENCE, self.connect()).await {
                Ok(Ok(listener)) => {
                    self.listener = Some(listener);
                    self.pause = SOON;
                    return Notice::Reconnected;
                }
                Ok(Err(error)) => reason(&error),
                Err(_) => SILENT.to_owned(),
            };
            tokio::time::sleep(self.pause).await;
            self.pause = (self.pause * 2).min(AGAIN);
            return Notice::Lost(why);
        };
        loop {
            let why = match tokio::time::timeout(QUIET, listener.try_recv()).await {
                Ok(Ok(Some(notice))) => return Notice::Text(notice.payload().to_owned()),
                Ok(Ok(None)) => "the connection ended".to_owned(),
                Ok(Err(error)) => reason(&error),
                // Asks for nothing but an answer. What is notified meanwhile is kept for the next look.
                Err(_) => match tokio::time::timeout(PATIENCE, sqlx::query("SELECT 1").execute(&mut *listener)).await {
                    Ok(Ok(_)) => continue,
                    Ok(Err(error)) => reason(&error),
                    Err(_) => SILENT.to_owned(),
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
