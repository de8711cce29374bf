//! The tables, and how they came to be.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Row};

use crate::PATIENCE;
use crate::failure::{OpenError, SILENT, opening, reason};

/// One script per schema version, in order. Never edit one that was released: add the next.
const MIGRATIONS: &[&str] = &[include_str!("../migrations/0001_first.sql")];

/// Held while the schema is changed, so that servers that start at once do not do it both.
const LOCK: i64 = 0x5354_4541_4400;

/// How long all of it may take: a large table takes its time, and so may another server that has the lock.
const MIGRATION: Duration = Duration::from_secs(600);

enum Fault {
    Sql(sqlx::Error),
    ReadOnly,
    Newer { found: i32, known: i32 },
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl Fault {
    fn at(self, place: String) -> OpenError {
        match self {
            Self::Sql(error) => OpenError::Migration { place, reason: reason(&error) },
            Self::ReadOnly => OpenError::ReadOnly { place },
            Self::Newer { found, known } => OpenError::Newer { place, found, known },
        }
    }
}

/// Brings the schema up to date, forward only. Returns how to connect from now on, and its version before and after.
pub(crate) async fn migrate(connect: PgConnectOptions) -> Result<(PgConnectOptions, (i32, i32)), OpenError> {
    let place = format!("{}:{}", connect.get_host(), connect.get_port());
    // A connection of its own, not a pool's: a pool would go on trying, and in the end not say why.
    let mut connection = match tokio::time::timeout(PATIENCE, connect.connect()).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(opening(place, &error)),
        Err(_) => return Err(OpenError::Unreachable { place, reason: "it does not answer".into() }),
    };
    let looked_after = async {
        let versions = bring_up(&mut connection).await?;
        Ok::<_, Fault>((versions, acknowledges_early(&mut connection).await?))
    };
    let (versions, is_early) = match tokio::time::timeout(MIGRATION, looked_after).await {
        Ok(done) => done.map_err(|fault| fault.at(place))?,
        Err(_) => return Err(OpenError::Migration { place, reason: SILENT.into() }),
    };
    // It is done; how the connection ends changes nothing.
    let _ = tokio::time::timeout(PATIENCE, connection.close()).await;
    let connect = if is_early { connect.options([("synchronous_commit", "on")]) } else { connect };
    Ok((connect, versions))
}

/// Whether the database tells of commits that it may still lose, which what was appended must not be. Warns of that, and
/// of what cannot be set right from here.
async fn acknowledges_early(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let sql = "SELECT current_setting('synchronous_commit') = 'off', current_setting('fsync') = 'off',
                 current_setting('full_page_writes') = 'off'";
    let row = sqlx::query(sql).fetch_one(connection).await?;
    let is_early: bool = row.try_get(0)?;
    if is_early {
        tracing::warn!("synchronous_commit is off in the database; Stead turns it on for its own connections");
    }
    if row.try_get(1)? {
        tracing::warn!("fsync is off in the database: a crash of its machine can destroy all that it has");
    }
    if row.try_get(2)? {
        tracing::warn!("full_page_writes is off in the database: a crash of its machine can destroy tables");
    }
    Ok(is_early)
}

async fn bring_up(connection: &mut PgConnection) -> Result<(i32, i32), Fault> {
    let read_only = "SELECT current_setting('transaction_read_only') = 'on' OR pg_is_in_recovery()";
    if sqlx::query_scalar(read_only).fetch_one(&mut *connection).await? {
        return Err(Fault::ReadOnly);
    }
    // The limit is ours.
    sqlx::raw_sql("SET statement_timeout = 0").execute(&mut *connection).await?;
    let mut transaction = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS stead_schema (version INTEGER NOT NULL)")
        .execute(&mut *transaction)
        .await?;
    let found = sqlx::query("SELECT coalesce(max(version), 0) FROM stead_schema").fetch_one(&mut *transaction).await?;
    let found: i32 = found.try_get(0)?;
    let known = i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX);
    if found > known {
        return Err(Fault::Newer { found, known });
    }
    for (script, version) in MIGRATIONS.iter().zip(1..).skip(usize::try_from(found).unwrap_or(0)) {
        sqlx::raw_sql(*script).execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO stead_schema (version) VALUES ($1)")
            .bind::<i32>(version)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok((found, known))
}
