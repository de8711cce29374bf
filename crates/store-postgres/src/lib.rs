//! The scaled store: PostgreSQL, for one node or several.
//!
//! READ COMMITTED is enough. Every append locks its session's header row first and decides by what it then reads, so that
//! appends to one session stand in a line; nothing is decided by a read that was not locked. Refusals of an append are data,
//! not errors, and the common append is one round trip and one transaction: see `stead_append` in the first migration.
//!
//! Every statement goes over a `Line`, which gives up when the database does not answer. Its connection is from one of three
//! pools: work, heartbeats and doorbells each have their own, so that none of them waits for another. Whoever hears the
//! doorbells has one connection more.

mod answers;
mod blobs;
mod catalog;
mod doorbells;
mod failure;
mod line;
mod list;
mod log;
mod nodes;
mod notices;
mod queue;
mod row;
mod schema;
mod transfer;

use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

pub use doorbells::Doorbells;
pub use failure::OpenError;
pub use notices::{Listener, Notice};

pub(crate) use failure::failed;

use failure::silent;
use line::Line;

/// How long a connection may take to be had, and a database that does not answer to be found out.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection that was used within this time is not tried before it is used: that would be a second round trip.
const FRESH: Duration = Duration::from_secs(1);

/// How long such a trial may take, before another connection is made: a network can take a connection without telling.
const TRIAL: Duration = Duration::from_secs(1);

/// What the database does for us when we cannot: it ends statements that take too long, and frees the rows that a node has
/// locked which stands still or is gone. In a transaction, a node in good order never waits for anything but the database.
const SETTINGS: [(&str, &str); 5] = [
    ("statement_timeout", "30s"),
    ("idle_in_transaction_session_timeout", "5s"),
    ("tcp_keepalives_idle", "15"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
];

#[derive(Debug, Clone)]
pub struct Options {
    /// The most connections at once for work, apart from two for heartbeats, one for ringing doorbells and one for hearing
    /// them.
    pub connections: u32,
    /// How long the answer to a statement may take before its connection is given up. The database itself ends statements
    /// after 30 seconds, and tells of it; this is for one that says nothing at all.
    pub limit: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { connections: 24, limit: Duration::from_secs(35) }
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct PostgresStore {
    work: PgPool,
    /// A node must not die because its work takes all connections.
    beats: PgPool,
    /// Doorbells must not wait for appends, nor appends for them.
    bells: PgPool,
    limit: Duration,
}

impl PostgresStore {
    /// Connects, and brings the schema up to date.
    pub async fn connect(url: &str, options: Options) -> Result<Self, OpenError> {
        let (connect, _) = schema::migrate(parse(url)?).await?;
        // It was reached a moment ago.
        let pool = |most: u32| {
            let pool = PgPoolOptions::new().max_connections(most).acquire_timeout(PATIENCE).test_before_acquire(false);
            let pool = pool.before_acquire(|connection, about| {
                Box::pin(async move {
                    if about.idle_for > FRESH {
                        tokio::time::timeout(TRIAL, connection.ping()).await.map_err(|_| silent())??;
                    }
                    Ok(true)
                })
            });
            pool.connect_lazy_with(connect.clone())
        };
        let (work, beats, bells) = (pool(options.connections.max(1)), pool(2), pool(1));
        Ok(Self { work, beats, bells, limit: options.limit })
    }

    /// Brings the schema up to date, and does nothing else. Returns its version before and after.
    pub async fn migrate(url: &str) -> Result<(i32, i32), OpenError> {
        schema::migrate(parse(url)?).await.map(|(_, versions)| versions)
    }

    /// For work.
    pub(crate) async fn line(&self) -> store::Result<Line> {
        Line::of(&self.work, self.limit).await
    }

    /// For work that is done again and again: soon it is too late for an answer.
    pub(crate) async fn brief_line(&self) -> store::Result<Line> {
        Line::of(&self.work, self.brief()).await
    }

    /// For heartbeats, and what else keeps nodes alive or tells that they are dead.
    pub(crate) async fn beat_line(&self) -> store::Result<Line> {
        Line::of(&self.beats, self.brief()).await
    }

    /// For work in one transaction.
    pub(crate) async fn begin(&self) -> store::Result<Line> {
        self.line().await?.begin("BEGIN").await
    }

    fn brief(&self) -> Duration {
        self.limit.min(PATIENCE)
    }
}

fn parse(url: &str) -> Result<PgConnectOptions, OpenError> {
    let connect: PgConnectOptions = url.parse().map_err(OpenError::Url)?;
    Ok(connect.application_name("stead").options(SETTINGS))
}
