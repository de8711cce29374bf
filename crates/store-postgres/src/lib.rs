//! The scaled store: PostgreSQL, for one node or several.
//!
//! READ COMMITTED is enough. Every append locks its session's header row first and decides by what it then reads, so that
//! appends to one session stand in a line; nothing is decided by a read that was not locked. Refusals of an append are data,
//! not errors, and the common append is one round trip and one transaction: see `stead_append` in the first migration.

mod answers;
mod blobs;
mod catalog;
mod doorbells;
mod failure;
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

/// How long a connection may take to be had, and a database that does not answer to be found out.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection that was used within this time is not tried before it is used: that would be a second round trip.
const FRESH: Duration = Duration::from_secs(1);

/// What the database does for us when we cannot: it ends statements that take too long, and frees the rows that a node has
/// locked which stands still or is gone.
const SETTINGS: [(&str, &str); 5] = [
    ("statement_timeout", "30s"),
    ("idle_in_transaction_session_timeout", "30s"),
    ("tcp_keepalives_idle", "15"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
];

#[derive(Debug, Clone)]
pub struct Options {
    /// The most connections at once, apart from one for ringing doorbells and one for hearing them.
    pub connections: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { connections: 24 }
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct PostgresStore {
    pool: PgPool,
    /// Doorbells go over a connection of their own: they must not wait for appends, nor appends for them.
    bells: PgPool,
}

impl PostgresStore {
    /// Connects, and brings the schema up to date.
    pub async fn connect(url: &str, options: Options) -> Result<Self, OpenError> {
        let connect = parse(url)?;
        schema::migrate(&connect).await?;
        // It was reached a moment ago.
        let pool = |most: u32| {
            let pool = PgPoolOptions::new().max_connections(most).acquire_timeout(PATIENCE).test_before_acquire(false);
            let pool = pool.before_acquire(|connection, about| {
                Box::pin(async move {
                    if about.idle_for > FRESH {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            });
            pool.connect_lazy_with(connect.clone())
        };
        Ok(Self { pool: pool(options.connections.max(1)), bells: pool(2) })
    }

    /// Brings the schema up to date, and does nothing else. Returns its version before and after.
    pub async fn migrate(url: &str) -> Result<(i32, i32), OpenError> {
        schema::migrate(&parse(url)?).await
    }
}

fn parse(url: &str) -> Result<PgConnectOptions, OpenError> {
    let connect: PgConnectOptions = url.parse().map_err(OpenError::Url)?;
    Ok(connect.application_name("stead").options(SETTINGS))
}
