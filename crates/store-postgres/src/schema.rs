//! The tables, and how they came to be.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Row};

use crate::PATIENCE;
use crate::failure::{OpenError, opening, reason};

/// One script per schema version, in order. Never edit one that was released: add the next.
const MIGRATIONS: &[&str] = &[include_str!("../migrations/0001_first.sql")];

/// Held while the schema is changed, so that servers that start at once do not do it both.
const LOCK: i64 = 0x5354_4541_4400;

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

/// Brings the schema up to date, forward only. Returns its version before and after.
pub(crate) async fn migrate(connect: &PgConnectOptions) -> Result<(i32, i32), OpenError> {
    let place = format!("{}:{}", connect.get_host(), connect.get_port());
    // A connection of its own, not a pool's: a pool would go on trying, and in the end not say why.
    let mut connection = match tokio::time::timeout(PATIENCE, connect.connect()).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(opening(place, &error)),
        Err(_) => return Err(OpenError::Unreachable { place, reason: "it does not answer".into() }),
    };
    let versions = bring_up(&mut connection).await.map_err(|fault| fault.at(place))?;
    // It is done; how the connection ends changes nothing.
    let _ = connection.close().await;
    Ok(versions)
}

async fn bring_up(connection: &mut PgConnection) -> Result<(i32, i32), Fault> {
    let read_only = "SELECT current_setting('transaction_read_only') = 'on' OR pg_is_in_recovery()";
    if sqlx::query_scalar(read_only).fetch_one(&mut *connection).await? {
        return Err(Fault::ReadOnly);
    }
    // A large table takes its time, and so may another server that has the lock.
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
