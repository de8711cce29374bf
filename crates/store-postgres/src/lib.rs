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

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

pub use doorbells::Doorbells;
pub use failure::OpenError;
pub use notices::{Listener, Notice};

pub(crate) use failure::failed;

/// How long a connection may take to be had, and a database that does not answer to be found out.
const PATIENCE: Duration = Duration::from_secs(5);

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
        let connect: PgConnectOptions = url.parse().map_err(OpenError::Url)?;
        let place = format!("{}:{}", connect.get_host(), connect.get_port());
        // A statement that takes this long has lost its database.
        let connect = connect.application_name("stead").options([("statement_timeout", "30s")]);
        let pool = |most: u32| PgPoolOptions::new().max_connections(most).acquire_timeout(PATIENCE);
        let opened = pool(options.connections.max(1)).connect_with(connect.clone()).await;
        let pool_of_all = opened.map_err(|error| failure::opening(place.clone(), &error))?;
        schema::migrate(&pool_of_all).await.map_err(|error| error.at(place))?;
        let bells = pool(2).connect_lazy_with(connect);
        Ok(Self { pool: pool_of_all, bells })
    }
}
