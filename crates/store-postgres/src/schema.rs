//! The tables, and how they came to be.

use sqlx::postgres::PgPool;
use sqlx::{Acquire, Row};

use crate::failure::{OpenError, reason};

/// One script per schema version, in order. Never edit one that was released: add the next.
const MIGRATIONS: &[&str] = &[include_str!("../migrations/0001_first.sql")];

/// Held while the schema is changed, so that servers that start at once do not do it both.
const LOCK: i64 = 0x5354_4541_4400;

pub(crate) enum Fault {
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
    pub(crate) fn at(self, place: String) -> OpenError {
        match self {
            Self::Sql(error) => OpenError::Migration { place, reason: reason(&error) },
            Self::ReadOnly => OpenError::ReadOnly { place },
            Self::Newer { found, known } => OpenError::Newer { place, found, known },
        }
    }
}

/// Brings the schema up to date, forward only.
pub(crate) async fn migrate(pool: &PgPool) -> Result<(), Fault> {
    let mut connection = pool.acquire().await?;
    let read_only = "SELECT current_setting('transaction_read_only') = 'on' OR pg_is_in_recovery()";
    if sqlx::query_scalar(read_only).fetch_one(&mut *connection).await? {
        return Err(Fault::ReadOnly);
    }
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
    Ok(())
}
