//! What goes wrong with a database, in words that say what to do.

use std::io::ErrorKind;

use sqlx::Error as Sql;
use store::Error;

/// Why the store could not be opened. Never with the password in it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("STEAD_DATABASE_URL is not a PostgreSQL URL: {0}")]
    Url(sqlx::Error),
    #[error("the database at {place} cannot be reached: {reason}. Start it, or check STEAD_DATABASE_URL")]
    Unreachable { place: String, reason: String },
    #[error("the database at {place} refused: {reason}. Check user, password and database name in STEAD_DATABASE_URL")]
    Refused { place: String, reason: String },
    #[error("the database at {place} is read-only: point STEAD_DATABASE_URL at the primary")]
    ReadOnly { place: String },
    #[error(
        "the database at {place} is of schema {found}, newer than the {known} of this version of Stead: use the version that wrote it, or a later one"
    )]
    Newer { place: String, found: i32, known: i32 },
    #[error("the database at {place} could not be brought up to date: {reason}")]
    Migration { place: String, reason: String },
}

pub(crate) fn opening(place: String, error: &Sql) -> OpenError {
    let reason = reason(error);
    match error {
        Sql::Database(database) if database.code().is_some_and(|code| code.starts_with("28") || code == "3D000") => {
            OpenError::Refused { place, reason }
        }
        _ => OpenError::Unreachable { place, reason },
    }
}

/// One line, for people.
pub(crate) fn reason(error: &Sql) -> String {
    match error {
        Sql::Database(database) => match database.code().as_deref() {
            Some("25006") => "the database is read-only".into(),
            Some("40P01" | "40001") => CONTENTION.into(),
            Some("53100") => "the disk of the database is full".into(),
            Some("53300") => "the database takes no more connections".into(),
            Some("57014") => "the database took too long".into(),
            Some("57P01" | "57P02" | "57P03") => "the database is shutting down or starting".into(),
            _ => database.message().to_owned(),
        },
        Sql::Io(error) if error.kind() == ErrorKind::TimedOut => SILENT.into(),
        Sql::PoolTimedOut => "the database does not answer, or all connections to it are busy".into(),
        Sql::Io(error) => format!("the connection to the database broke: {error}"),
        other => other.to_string(),
    }
}

pub(crate) const SILENT: &str = "the database does not answer";

/// What becomes of a statement whose answer does not come.
pub(crate) fn silent() -> Sql {
    Sql::Io(ErrorKind::TimedOut.into())
}

pub(crate) fn failed(error: Sql) -> Error {
    Error::Failed(reason(&error))
}

/// Of what the database commits: without its answer nobody knows whether it has.
pub(crate) fn unsettled(error: Sql) -> Error {
    match &error {
        Sql::Io(_) | Sql::Tls(_) | Sql::Protocol(_) => {
            Error::Failed(format!("{}; what was being written may be there all the same", reason(&error)))
        }
        _ => failed(error),
    }
}

/// What becomes of a transaction that stood in another's way: nothing of it was done, and it may be tried again.
const CONTENTION: &str = "other transactions stood in the way";

/// How often such a transaction is tried.
const ATTEMPTS: u32 = 5;

/// Makes transactions until one stands in no other's way.
pub(crate) async fn retried<T, F: Future<Output = Result<T, Error>>>(attempt: impl Fn() -> F) -> Result<T, Error> {
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Err(Error::Failed(reason)) if reason == CONTENTION => {}
            outcome => return outcome,
        }
    }
    attempt().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_connection_says_so() {
        let error = Sql::Io(ErrorKind::ConnectionReset.into());
        assert!(reason(&error).starts_with("the connection to the database broke"));
        assert!(
            matches!(opening("db:5432".into(), &error), OpenError::Unreachable { place, .. } if place == "db:5432")
        );
    }

    #[test]
    fn silence_says_so_and_leaves_open_what_was_written() {
        assert_eq!(failed(silent()), Error::Failed(SILENT.into()));
        let told = "the store failed: the database does not answer; what was being written may be there all the same";
        assert_eq!(unsettled(silent()).to_string(), told);
    }
}
