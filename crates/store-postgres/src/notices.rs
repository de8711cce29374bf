//! Notices between nodes: LISTEN and NOTIFY.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use store::Result;

use crate::failure::{SILENT, reason};
use crate::line::Line;
use crate::{PATIENCE, PostgresStore};

/// Between two attempts to hear again: at first, and at most.
const SOON: Duration = Duration::from_millis(50);
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
    connect: Arc<PgConnectOptions>,
    channel: String,
    listener: Option<PgListener>,
    /// Before the next attempt, if this one fails.
    pause: Duration,
}

impl PostgresStore {
    /// Tells whoever listens. Each payload must be below 8,000 bytes.
    pub async fn notify(&self, channel: &str, payloads: Vec<String>) -> Result<()> {
        let sql = sqlx::query("SELECT pg_notify($1, payload) FROM unnest($2::text[]) payload");
        let sql = sql.bind(channel.to_owned()).bind(payloads);
        Line::of(&self.bells, self.brief()).await?.execute(sql).await.map(|_| ())
    }

    pub fn listen(&self, channel: &str) -> Listener {
        Listener { connect: self.bells.connect_options(), channel: channel.to_owned(), listener: None, pause: SOON }
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

    async fn connect(&self) -> sqlx::Result<PgListener> {
        // A pool of its own each time: a listener that is given up keeps its place in its pool until the database has
        // answered to its farewell.
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE);
        let pool = pool.idle_timeout(None).max_lifetime(None);
        let pool = pool.connect_lazy_with(PgConnectOptions::clone(&self.connect));
        let mut listener = PgListener::connect_with(&pool).await?;
        // It would connect anew without a word of what was missed meanwhile.
        listener.eager_reconnect(false);
        listener.listen(&self.channel).await?;
        Ok(listener)
    }
}
